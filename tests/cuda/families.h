/// What the coder's tests need to know of each family.
#pragma once

#include "coder_kernels.h"
#include "tans_scalar_coder.h"

namespace torch_ans {

template <typename Traits>
struct RansFamily {
  using System = gpu::RansSystem<Traits>;
  using Scalar = ScalarCoder<Traits>;
  static constexpr gpu::ImageKind kKind = {false, static_cast<int>(sizeof(typename Traits::State))};
  static constexpr std::uint64_t kFirstState = Traits::kLowerBound;
  static constexpr int kMaxFreqPrecision = Traits::kMaxFreqPrecision;
  static constexpr int kWordBytes = static_cast<int>(sizeof(typename Traits::Word));
  static constexpr int kLookups = 3;
  static int header_bytes(int lanes) { return torch_ans::header_bytes<Traits>(lanes); }
  static Scalar scalar(const CodingTables& tables, int lanes, int bypass_precision) {
    return {tables, lanes, bypass_precision};
  }
};

template <int kWordBytes_, int kMaxFreqPrecision_>
struct TansFamily {
  using System = gpu::TansSystem;
  using Scalar = TansScalarCoder;
  static constexpr gpu::ImageKind kKind = {true, 4};
  static constexpr std::uint64_t kFirstState = 0;
  static constexpr int kMaxFreqPrecision = kMaxFreqPrecision_;
  static constexpr int kWordBytes = kWordBytes_;
  static constexpr int kLookups = 1;
  static int header_bytes(int lanes) { return 4 * lanes + 8; }
  static Scalar scalar(const CodingTables& tables, int lanes, int bypass_precision) {
    return {tables, lanes, bypass_precision, kWordBytes};
  }
};

}  // namespace torch_ans
