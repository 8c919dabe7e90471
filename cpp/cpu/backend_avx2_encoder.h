/// Encoder for 32-bit states: eight lanes of a row in a vector.
#pragma once

#include "backend_avx2.h"
#include "backend_avx2_shuffles.h"
#include "backend_scalar.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Appends the words of 16 bits that the lanes in `need` give up, highest lane first.
TORCH_ANS_FN void emit_words(__m256i x, __m256i need, std::uint8_t*& out) {
  const auto mask = static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(need)));
  const __m256i low = _mm256_and_si256(x, _mm256_set1_epi32(0xffff));
  const __m128i words =
      _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  const auto* shuffle = reinterpret_cast<const __m128i*>(kSqueezeWords.bytes[mask]);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                   _mm_shuffle_epi8(words, _mm_load_si128(shuffle)));
  out += 2 * _mm_popcnt_u32(mask);
}

/// The same for up to two words of 8 bits a lane, of which `need` and `need_again` tell.
TORCH_ANS_FN void emit_bytes(__m256i x, __m256i need, __m256i need_again, std::uint8_t*& out) {
  const __m256i pairs = _mm256_blend_epi16(need, need_again, 0xaa);
  const auto masks =
      static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_packs_epi16(pairs, pairs)));
  const __m128i halves[2] = {_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1)};
  for (int half = 1; half >= 0; --half) {
    const std::uint32_t mask = masks >> (16 * half) & 0xff;
    const auto* shuffle = reinterpret_cast<const __m128i*>(kSqueezeBytes.bytes[mask]);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out),
                     _mm_shuffle_epi8(halves[half], _mm_load_si128(shuffle)));
    out += _mm_popcnt_u32(mask);
  }
}

/// x / freq for x < freq << (31 - precision), for precisions from kMinPrecision on.
///
/// Three roundings and the conversion of x are off by a factor of up to 1 +- 2^-22, which the
/// factor 1 - 2^-21 makes a quotient that is never too high; and as x / freq < 2^20 it is too low
/// by 1 at most, which the remainder shows.
struct Quotient {
  static constexpr int kMinPrecision = 11;
  __m256i quotient;
  __m256i remainder;
  __m256i is_low;  ///< all ones: one more
};

TORCH_ANS_FN Quotient divide(__m256i x, __m256i freq) {
  const __m256 rounded_down = _mm256_set1_ps(1.0f - 0x1p-21f);
  const __m256 reciprocal =
      _mm256_mul_ps(_mm256_div_ps(_mm256_set1_ps(1.0f), _mm256_cvtepi32_ps(freq)), rounded_down);
  const __m256i quotient = _mm256_cvttps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(x), reciprocal));
  const __m256i remainder = _mm256_sub_epi32(x, _mm256_mullo_epi32(quotient, freq));
  const __m256i most = _mm256_sub_epi32(freq, _mm256_set1_epi32(1));
  return {quotient, remainder, _mm256_cmpgt_epi32(remainder, most)};
}

/// C(s, x) for eight lanes and the symbols of `pairs`.
template <typename Traits>
class VectorPut {
 public:
  TORCH_ANS_FN explicit VectorPut(const TablesView& tables)
      : precision_(_mm256_set1_epi32(tables.freq_precision)),
        limit_shift_(_mm256_set1_epi32(31 - tables.freq_precision)),
        total_(_mm256_set1_epi32(1 << tables.freq_precision)) {}

  TORCH_ANS_FN __m256i put(__m256i x, const SlotPair* pairs, std::uint8_t*& out) const {
    const __m256i ends = load256(pairs);  // an end of 2^16 reads 0
    const __m256i low_half = _mm256_set1_epi32(0xffff);
    const __m256i start = _mm256_and_si256(ends, low_half);
    const __m256i freq =
        _mm256_and_si256(_mm256_sub_epi32(_mm256_srli_epi32(ends, 16), start), low_half);
    x = renormalise(x, _mm256_sllv_epi32(freq, limit_shift_), out);
    const Quotient q = divide(x, freq);
    const __m256i low = _mm256_add_epi32(_mm256_sllv_epi32(q.quotient, precision_),
                                         _mm256_add_epi32(q.remainder, start));
    const __m256i one_more = _mm256_and_si256(q.is_low, _mm256_sub_epi32(total_, freq));
    return _mm256_add_epi32(low, one_more);
  }

 private:
  TORCH_ANS_FN static __m256i renormalise(__m256i x, __m256i limit, std::uint8_t*& out) {
    static_assert(Traits::kLowerBits + Traits::kWordBits == 31, "what limit_shift_ is for");
    const __m256i most = _mm256_sub_epi32(limit, _mm256_set1_epi32(1));  // limit may be 2^31
    const __m256i need = _mm256_cmpgt_epi32(x, most);
    const __m256i bits = _mm256_set1_epi32(Traits::kWordBits);
    if constexpr (Traits::kMaxWords == 1) {
      emit_words(x, need, out);
      return _mm256_srlv_epi32(x, _mm256_and_si256(need, bits));
    } else {
      const __m256i need_again = _mm256_cmpgt_epi32(_mm256_srli_epi32(x, Traits::kWordBits), most);
      emit_bytes(x, need, need_again, out);
      return _mm256_srlv_epi32(
          x, _mm256_add_epi32(_mm256_and_si256(need, bits), _mm256_and_si256(need_again, bits)));
    }
  }

  __m256i precision_;
  __m256i limit_shift_;
  __m256i total_;
};

/// The slots of four symbols.
TORCH_ANS_FN __m128i load_four_pairs(const std::uint16_t* cdf16, const std::uint32_t* ids) {
  __m128i pair[4];
  TORCH_ANS_UNROLL
  for (int i = 0; i < 4; ++i) pair[i] = _mm_cvtsi32_si128(load<std::int32_t>(cdf16 + ids[i]));
  return _mm_unpacklo_epi64(_mm_unpacklo_epi32(pair[0], pair[1]),
                            _mm_unpacklo_epi32(pair[2], pair[3]));
}

/// Replaces eight ids by the slots of their symbols. Loaded one by one: a gather takes longer.
TORCH_ANS_FN void replace_by_pairs(const std::uint16_t* cdf16, std::uint32_t* ids) {
  const __m128i low = load_four_pairs(cdf16, ids);
  store256(ids, _mm256_set_m128i(load_four_pairs(cdf16, ids + 4), low));
}

template <typename Traits, int kLanes, int kRows_>
struct VectorEncoder : ScalarTile, TakesPairs {
  static constexpr int kRows = kRows_;
  static constexpr int kVectors = kLanes / 8;
  static constexpr int kStoreSlack = 16;
  using State = typename Traits::State;

  static bool accepts(const CodingTask& task) {
    return task.tables.freq_precision >= Quotient::kMinPrecision && !task.tables.has_full_freq;
  }

  static TORCH_ANS_FN IdFlags make_pairs(const TablesView& tables, const TileSource& source,
                                         int count, SlotPair* pairs) {
    const IdFlags flags = make_ids_avx2(tables, source, count, pairs);
    if (!flags.bad_index) ids_to_pairs(tables, count, pairs);
    return flags;
  }

  static TORCH_ANS_FN void ids_to_pairs(const TablesView& tables, int count, std::uint32_t* ids) {
    int t = count;
    for (; t % 16 != 0; --t) ids[t - 1] = load<SlotPair>(tables.cdf16 + ids[t - 1]);
    for (; t > 0; t -= 16) {
      replace_by_pairs(tables.cdf16, ids + t - 16);
      replace_by_pairs(tables.cdf16, ids + t - 8);
    }
  }

  static TORCH_ANS_FN State put_id(const TablesView& tables, State x, SlotPair pair,
                                   std::uint8_t*& out) {
    return PutByPair::put_id<Traits>(tables, x, pair, out);
  }

  static void encode_groups(const TablesView& tables, State* states, std::uint8_t** outs,
                            const SlotPair* pairs, int begin, int end) {
    const VectorPut<Traits> putter(tables);
    __m256i x[kRows * kVectors];
    std::uint8_t* out[kRows];
    TORCH_ANS_UNROLL
    for (int k = 0; k < kRows * kVectors; ++k) x[k] = load256(states + 8 * k);
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) out[r] = outs[r];
    for (int group = end - 1; group >= begin; --group) {
      TORCH_ANS_UNROLL
      for (int v = kVectors - 1; v >= 0; --v) {
        TORCH_ANS_UNROLL
        for (int r = 0; r < kRows; ++r) {
          __m256i& lanes = x[r * kVectors + v];
          lanes = putter.put(lanes, pairs + r * kTileStride + group * kLanes + 8 * v, out[r]);
        }
      }
    }
    TORCH_ANS_UNROLL
    for (int k = 0; k < kRows * kVectors; ++k) store256(states + 8 * k, x[k]);
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) outs[r] = out[r];
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
