/// The families of range asymmetric numeral systems (rANS; Duda, "Asymmetric numeral systems",
/// 2013): which integer holds a lane's state and in which words it is written out.
///
/// Invariant between two operations on a lane: `kLowerBound <= x < kLowerBound << kWordBits`.
/// `put` breaks it for a moment downwards (words leave, then the symbol enters), `get` mirrors it.
#pragma once

#include "torch_ans/config.h"

namespace torch_ans {

/// One bit of the state stays free: exact reciprocals of 63 (31) bit dividends fit 64 (32) bits.
template <typename State_, typename Word_, int kMaxFreqPrecision_>
struct RansTraits {
  using State = State_;
  using Word = Word_;
  static constexpr int kStateBits = 8 * static_cast<int>(sizeof(State));
  static constexpr int kWordBits = 8 * static_cast<int>(sizeof(Word));
  static constexpr int kUsedBits = kStateBits - 1;
  /// log2 of the smallest state between two operations.
  static constexpr int kLowerBits = kUsedBits - kWordBits;
  static constexpr State kLowerBound = State{1} << kLowerBits;
  static constexpr int kMaxFreqPrecision = kMaxFreqPrecision_;
  /// Words that one put can write, or one get can read.
  static constexpr int kMaxWords = (kMaxFreqPrecision + kWordBits - 1) / kWordBits;

  static_assert(kWordBits < kUsedBits, "a word must leave room for the lower bound");
  static_assert(kMaxFreqPrecision <= kLowerBits, "freq << (kLowerBits - precision) must exist");
  static_assert(kMaxWords == 1 || kMaxWords == 2, "renormalisation knows one or two words");
};

using Rans64 = RansTraits<std::uint64_t, std::uint32_t, 16>;
using Rans32 = RansTraits<std::uint32_t, std::uint8_t, 16>;
using Rans32x16 = RansTraits<std::uint32_t, std::uint16_t, 15>;

}  // namespace torch_ans
