/// Encoder for rows of eight lanes or more: eight lanes in a vector.
#pragma once

#include "backend_avx2_put.h"
#include "backend_avx2_shuffles.h"
#include "backend_scalar.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Appends the words of 16 bits that the lanes give up, highest lane first.
TORCH_ANS_FN void emit(const Leaving<Rans32x16>& leaving, std::uint8_t*& out) {
  const auto mask =
      static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(leaving.leaves[0])));
  const __m256i low = _mm256_and_si256(leaving.words, _mm256_set1_epi32(0xffff));
  const __m128i words =
      _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  const auto* shuffle = reinterpret_cast<const __m128i*>(kSqueezeWords.bytes[mask]);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                   _mm_shuffle_epi8(words, _mm_load_si128(shuffle)));
  out += 2 * _mm_popcnt_u32(mask);
}

/// The same for up to two words of 8 bits a lane.
TORCH_ANS_FN void emit(const Leaving<Rans32>& leaving, std::uint8_t*& out) {
  const __m256i pairs = _mm256_blend_epi16(leaving.leaves[0], leaving.leaves[1], 0xaa);
  const auto masks =
      static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_packs_epi16(pairs, pairs)));
  const __m128i halves[2] = {_mm256_castsi256_si128(leaving.words),
                             _mm256_extracti128_si256(leaving.words, 1)};
  for (int half = 1; half >= 0; --half) {
    const std::uint32_t mask = masks >> (16 * half) & 0xff;
    const auto* shuffle = reinterpret_cast<const __m128i*>(kSqueezeBytes.bytes[mask]);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out),
                     _mm_shuffle_epi8(halves[half], _mm_load_si128(shuffle)));
    out += _mm_popcnt_u32(mask);
  }
}

/// The same for words of 32 bits.
TORCH_ANS_FN void emit(const Leaving<Rans64>& leaving, std::uint8_t*& out) {
  const auto mask =
      static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(leaving.leaves[0])));
  const __m256i order = _mm256_cvtepu8_epi32(
      _mm_loadl_epi64(reinterpret_cast<const __m128i*>(kSqueezeOrder.lanes[mask])));
  store256(out, _mm256_permutevar8x32_epi32(leaving.words, order));
  out += 4 * _mm_popcnt_u32(mask);
}

/// The slots of four symbols.
template <typename Id>
TORCH_ANS_FN __m128i load_four_pairs(const std::uint16_t* cdf16, const Id* ids) {
  __m128i pair[4];
  TORCH_ANS_UNROLL
  for (int i = 0; i < 4; ++i) pair[i] = _mm_cvtsi32_si128(load<std::int32_t>(cdf16 + ids[i]));
  return _mm_unpacklo_epi64(_mm_unpacklo_epi32(pair[0], pair[1]),
                            _mm_unpacklo_epi32(pair[2], pair[3]));
}

/// The slots of eight symbols, which may replace their ids. Loaded one by one: a gather takes
/// longer.
template <typename Id>
TORCH_ANS_FN void load_pairs(const std::uint16_t* cdf16, const Id* ids, SlotPair* pairs) {
  const __m128i low = load_four_pairs(cdf16, ids);
  store256(pairs, _mm256_set_m128i(load_four_pairs(cdf16, ids + 4), low));
}

/// Whether all of a few symbols are coded directly by the only table.
template <typename Symbol>
TORCH_ANS_FN bool are_in_table(const TablesView& tables, const Symbol* symbols, int count) {
  const std::int32_t first = tables.offsets[0];
  const auto last = first + static_cast<std::int32_t>(tables.limits[0]) - 1;
  Symbol lowest = symbols[0], highest = symbols[0];
  for (int t = 0; t < count; ++t) {
    lowest = smaller(lowest, symbols[t]);
    highest = larger(highest, symbols[t]);
  }
  return lowest >= first && highest <= last;
}

/// How an encoder comes to the slots of a tile's symbols (row_encoder.h).
template <typename Traits>
struct PairsByLoads : ScalarTile, TakesPairs, TakesBytes {
  using State = typename Traits::State;

  static bool accepts(const CodingTask& task) {
    return task.tables.freq_precision >= EightPuts<Traits>::kMinPrecision &&
           !task.tables.has_full_freq;
  }

  static TORCH_ANS_FN IdFlags make_pairs(const TablesView& tables, const TileSource& source,
                                         int count, SlotPair* pairs) {
    if (source.indexes == nullptr &&
        make_pairs_of(tables, source.symbols, source.ahead, count, pairs)) {
      return {false, false};
    }
    const IdFlags flags = make_ids_avx2(tables, source, count, pairs);
    if (!flags.bad_index) ids_to_pairs(tables, count, pairs);
    return flags;
  }

  static TORCH_ANS_FN void ids_to_pairs(const TablesView& tables, int count, std::uint32_t* ids) {
    int t = count;
    for (; t % 16 != 0; --t) ids[t - 1] = load<SlotPair>(tables.cdf16 + ids[t - 1]);
    for (; t > 0; t -= 16) {
      load_pairs(tables.cdf16, ids + t - 16, ids + t - 16);
      load_pairs(tables.cdf16, ids + t - 8, ids + t - 8);
    }
  }

  /// The pairs of symbols of the only table, without ids. False: one is outside. Asks for the
  /// symbols `ahead` of these, unless that is 0.
  template <typename Symbol>
  static TORCH_ANS_FN bool make_pairs_of(const TablesView& tables, const Symbol* symbols,
                                         std::int64_t ahead, int count, SlotPair* pairs) {
    constexpr int kLine = kCacheLine / sizeof(Symbol);
    if (!are_in_table(tables, symbols, count)) return false;
    const std::uint16_t* cdf16 = tables.cdf16 - tables.offsets[0];
    int t = 0;
    for (; t + 16 <= count; t += 16) {
      if (t % kLine == 0 && ahead != 0) prefetch_l2(symbols + t - ahead);
      load_pairs(cdf16, symbols + t, pairs + t);
      load_pairs(cdf16, symbols + t + 8, pairs + t + 8);
    }
    for (; t < count; ++t) pairs[t] = load<SlotPair>(cdf16 + symbols[t]);
    return true;
  }

  static TORCH_ANS_FN State put_id(const TablesView& tables, State x, SlotPair pair,
                                   std::uint8_t*& out) {
    return PutByPair::put_id<Traits>(tables, x, pair, out);
  }
};

template <typename Traits, int kLanes, int kRows_>
struct VectorEncoder : PairsByLoads<Traits> {
  static constexpr int kRows = kRows_;
  static constexpr int kVectors = kLanes / 8;
  static constexpr int kStoreSlack = 32;
  using State = typename Traits::State;
  using VectorEncoder::ScalarTile::kTileStride;

  static void encode_groups(const TablesView& tables, State* states, std::uint8_t** outs,
                            const SlotPair* pairs, int begin, int end) {
    using Puts = EightPuts<Traits>;
    const typename Puts::Constants constants(tables.freq_precision);
    Puts x[kRows * kVectors];
    std::uint8_t* out[kRows];
    TORCH_ANS_UNROLL
    for (int k = 0; k < kRows * kVectors; ++k) x[k].load(states + 8 * k);
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) out[r] = outs[r];
    for (int group = end - 1; group >= begin; --group) {
      TORCH_ANS_UNROLL
      for (int v = kVectors - 1; v >= 0; --v) {
        TORCH_ANS_UNROLL
        for (int r = 0; r < kRows; ++r) {
          const SlotPair* place = pairs + r * kTileStride + group * kLanes + 8 * v;
          emit(x[r * kVectors + v].put(constants, load256(place)), out[r]);
        }
      }
    }
    TORCH_ANS_UNROLL
    for (int k = 0; k < kRows * kVectors; ++k) x[k].store(states + 8 * k);
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) outs[r] = out[r];
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
