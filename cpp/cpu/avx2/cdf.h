/// A float32 CDF for each symbol, for AVX2: eight edges of a row at a time.
///
/// As for AVX-512 (avx512/cdf.h), how many edges of a row are below (slot + 1 - leak * i) / spread
/// is a guess of the slot's symbol, of which the exact edges decide.
#pragma once

#include "models.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

class CdfVectors : public CdfModel<float>, public Guesses {
  using Scalar = CdfModel<float>;
  static constexpr int kAheadBytes = 2048;

 public:
  using Scalar::limits;
  /// What a search waits for takes far longer than its instructions.
  static constexpr int kTogether = 2 * kLockstep;
  /// Longer rows are searched: to read less whole is faster.
  static constexpr std::uint32_t kMostSymbols = 128;

  template <int kCount>
  using Block = Scalar::Block<kCount>;

  TORCH_ANS_FN explicit CdfVectors(const Model& model)
      : Scalar(model),
        inner_edges_(static_cast<int>(limits.num_symbols) - 1),
        per_slot_(1.0f / static_cast<float>(larger(limits.spread, 1u))),
        leak_(static_cast<float>(limits.leak) * per_slot_),
        last_(first_of_eight(inner_edges_ % 8)) {
    leaks_ = _mm256_mul_ps(_mm256_setr_ps(1, 2, 3, 4, 5, 6, 7, 8), _mm256_set1_ps(leak_));
  }

  TORCH_ANS_FN void prefetch_run(std::int64_t /*element*/) const {}

  TORCH_ANS_FN void prefetch_group(std::int64_t first, int count) const {
    if (limits.num_symbols > kMostSymbols) return;
    const auto* begin = reinterpret_cast<const std::uint8_t*>(rows_ + first * stride_);
    const std::int64_t bytes = count * stride_ * static_cast<std::int64_t>(sizeof(float));
    for (std::int64_t byte = 0; byte < bytes; byte += 64) {
      torch_ans::prefetch(begin + kAheadBytes + byte);
    }
  }

  template <int kCount>
  TORCH_ANS_FN void edges(const Block<kCount>& block, const std::uint32_t* i,
                          std::uint32_t* out) const {
    if constexpr (kCount == 1) {
      Scalar::edges<1>(block, i, out);
    } else {
      TORCH_ANS_UNROLL
      for (int k = 0; k < kCount; k += 8) {
        const auto value = [&](int e) { return block.row[k + e][i[k + e]]; };
        const __m256 values = _mm256_setr_ps(value(0), value(1), value(2), value(3), value(4),
                                             value(5), value(6), value(7));
        store256(out + k, inner_edges(limits, load256(i + k), to_fixed(values)));
      }
    }
  }

  template <int kCount>
  TORCH_ANS_FN void guess(const Block<kCount>& block, const std::uint32_t* slots,
                          std::uint32_t* symbol) const {
    std::uint32_t scattered = limits.num_symbols > kMostSymbols;
    for (int k = 0; k < kCount && scattered == 0; ++k) {
      symbol[k] = count_edges(block.row[k], slots[k], scattered);
    }
    if (scattered != 0) bisect<kCount>(*this, block, slots, symbol);
  }

 private:
  /// How many inner edges of a row seem to be at or below a slot. `scattered` is no longer 0 where
  /// they are not the first ones, as where the CDF decreases: then several symbols may have the
  /// slot. (They are the lowest bits of a long number x, and no others, if x & (x + 1) is 0.)
  TORCH_ANS_FN std::uint32_t count_edges(const float* row, std::uint32_t slot,
                                         std::uint32_t& scattered) const {
    const float* edges = row + 1;
    const float first = static_cast<float>(static_cast<std::int32_t>(slot) + 1) * per_slot_;
    const __m256 step = _mm256_set1_ps(leak_ * 8);
    __m256 limit = _mm256_sub_ps(_mm256_set1_ps(first), leaks_);
    std::uint32_t count = 0;
    std::uint64_t digit = 0, carry = 1;
    const auto add_digit = [&] {
      count += static_cast<std::uint32_t>(_mm_popcnt_u64(digit));
      const std::uint64_t sum = digit + carry;
      scattered |= static_cast<std::uint32_t>(digit & sum);
      carry = sum >> 32;
      digit = 0;
    };
    int t = 0;
    const auto add = [&](__m256 below) {
      digit |= static_cast<std::uint64_t>(_mm256_movemask_ps(below)) << t % 32;
      limit = _mm256_sub_ps(limit, step);
      t += 8;
      if (t % 32 == 0) add_digit();
    };
    while (t + 8 <= inner_edges_) {
      add(_mm256_cmp_ps(_mm256_loadu_ps(edges + t), limit, _CMP_LT_OQ));
    }
    if (t < inner_edges_) {
      const __m256 values = _mm256_maskload_ps(edges + t, last_);
      add(_mm256_and_ps(_mm256_cmp_ps(values, limit, _CMP_LT_OQ), _mm256_castsi256_ps(last_)));
    }
    if (t % 32 != 0) add_digit();
    return count;
  }

  const int inner_edges_;
  const float per_slot_;
  const float leak_;
  const __m256i last_;  ///< the inner edges that make no whole eight
  __m256 leaks_;        ///< of the first eight inner edges
};

inline void add_cdf_vectors(ModelTable& table) {
  table[static_cast<int>(ModelKind::kCdf)][static_cast<int>(RealType::kFloat32)] =
      functions_of<CdfVectors>();
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
