/// Encoder for rows of several lanes: eight lanes in a vector, of one row or of several.
#pragma once

#include "cpu/scalar/backends.h"
#include "put.h"
#include "shuffles.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Of eight bits those of the `r`th kBlock.
template <int kBlock>
TORCH_ANS_FN std::uint32_t bits_of_row(std::uint32_t mask, int r) {
  return kBlock == 8 ? mask : mask & ((1u << kBlock) - 1) << (kBlock * r);
}

/// Appends the words of 16 bits that the lanes give up, highest lane first, to the rows of a
/// vector, each of kBlock lanes.
template <int kBlock>
TORCH_ANS_FN void emit(const Leaving<Rans32x16>& leaving, std::uint8_t** outs) {
  const auto leaves =
      static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(leaving.leaves[0])));
  const __m256i low = _mm256_and_si256(leaving.words, _mm256_set1_epi32(0xffff));
  const __m128i words =
      _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  TORCH_ANS_UNROLL
  for (int r = 0; r < 8 / kBlock; ++r) {
    const std::uint32_t mask = bits_of_row<kBlock>(leaves, r);
    const auto* shuffle = reinterpret_cast<const __m128i*>(kSqueezeWords.bytes[mask]);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(outs[r]),
                     _mm_shuffle_epi8(words, _mm_load_si128(shuffle)));
    outs[r] += 2 * _mm_popcnt_u32(mask);
  }
}

/// The same for up to two words of 8 bits a lane.
template <int kBlock>
TORCH_ANS_FN void emit(const Leaving<Rans32>& leaving, std::uint8_t** outs) {
  constexpr int kPart = smaller(kBlock, 4);  // lanes that one shuffle takes
  const __m256i pairs = _mm256_blend_epi16(leaving.leaves[0], leaving.leaves[1], 0xaa);
  const auto leaves =
      static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_packs_epi16(pairs, pairs)));
  const __m128i halves[2] = {_mm256_castsi256_si128(leaving.words),
                             _mm256_extracti128_si256(leaving.words, 1)};
  TORCH_ANS_UNROLL
  for (int lane = 8 - kPart; lane >= 0; lane -= kPart) {
    const int half = lane / 4;
    const std::uint32_t mask =
        bits_of_row<2 * kPart>(leaves >> (16 * half) & 0xff, lane % 4 / kPart);
    const auto* shuffle = reinterpret_cast<const __m128i*>(kSqueezeBytes.bytes[mask]);
    std::uint8_t*& out = outs[lane / kBlock];
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out),
                     _mm_shuffle_epi8(halves[half], _mm_load_si128(shuffle)));
    out += _mm_popcnt_u32(mask);
  }
}

/// The same for words of 32 bits.
template <int kBlock>
TORCH_ANS_FN void emit(const Leaving<Rans64>& leaving, std::uint8_t** outs) {
  const auto leaves =
      static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(leaving.leaves[0])));
  TORCH_ANS_UNROLL
  for (int r = 0; r < 8 / kBlock; ++r) {
    const std::uint32_t mask = bits_of_row<kBlock>(leaves, r);
    const __m256i order = _mm256_cvtepu8_epi32(
        _mm_loadl_epi64(reinterpret_cast<const __m128i*>(kSqueezeOrder.lanes[mask])));
    const __m256i words = _mm256_permutevar8x32_epi32(leaving.words, order);
    if constexpr (kBlock == 8) {
      store256(outs[r], words);
    } else {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(outs[r]), _mm256_castsi256_si128(words));
    }
    outs[r] += 4 * _mm_popcnt_u32(mask);
  }
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

/// How an encoder comes to the slots of a tile's symbols (tile_ids.h).
template <typename Traits>
struct PairsByLoads : ScalarTile, TakesPairs, TakesBytes {
  using State = typename Traits::State;

  static bool accepts(const CodingTask& task) {
    return task.tables.freq_precision >= EightPuts<Traits>::kMinPrecision &&
           !task.tables.has_full_freq;
  }

  static TORCH_ANS_FN IdFlags make_pairs(const TablesView& tables, const TileSource& source,
                                         int count, SlotPair* pairs) {
    const bool one_table =
        tables.num_tables == 1 && (source.indexes == nullptr ||
                                   all_name_tables_avx2(source.indexes, count, tables.num_tables));
    if (one_table && make_pairs_of(tables, source.symbols, source, count, pairs)) {
      return {false, false};
    }
    const IdFlags flags = make_ids_avx2(tables, source, count, pairs);
    if (!flags.bad_index) ids_to_pairs(tables, count, pairs);
    return flags;
  }

  /// The same of bytes of the only table. False: one is outside.
  static TORCH_ANS_FN bool make_byte_pairs(const TablesView& tables, const std::uint8_t* bytes,
                                           int count, SlotPair* pairs) {
    return make_pairs_of(tables, bytes, NothingAhead{}, count, pairs);
  }

  static TORCH_ANS_FN void ids_to_pairs(const TablesView& tables, int count, std::uint32_t* ids) {
    int t = count;
    for (; t % 16 != 0; --t) ids[t - 1] = load<SlotPair>(tables.cdf16 + ids[t - 1]);
    for (; t > 0; t -= 16) {
      load_pairs(tables.cdf16, ids + t - 16, ids + t - 16);
      load_pairs(tables.cdf16, ids + t - 8, ids + t - 8);
    }
  }

  /// The pairs of symbols of the only table, without ids. False: one is outside. Asks `source` for
  /// what is ahead of every 16 symbols.
  template <typename Symbol, typename Source>
  static TORCH_ANS_FN bool make_pairs_of(const TablesView& tables, const Symbol* symbols,
                                         const Source& source, int count, SlotPair* pairs) {
    if (!are_in_table(tables, symbols, count)) return false;
    const std::uint16_t* cdf16 = tables.cdf16 - tables.offsets[0];
    int t = 0;
    for (; t + 16 <= count; t += 16) {
      source.prefetch_next(t);
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

/// Eight pairs of rows of kBlock lanes, kStride apart.
template <int kBlock, int kStride>
TORCH_ANS_FN __m256i load_blocks(const SlotPair* pairs) {
  const auto half = [](const SlotPair* first) {
    if constexpr (kBlock == 4) return _mm_loadu_si128(reinterpret_cast<const __m128i*>(first));
    const auto at = [=](int r) { return reinterpret_cast<const double*>(first + r * kStride); };
    return _mm_castpd_si128(_mm_loadh_pd(_mm_load_sd(at(0)), at(1)));
  };
  if constexpr (kBlock == 8) return load256(pairs);
  return _mm256_set_m128i(half(pairs + 4 / kBlock * kStride), half(pairs));
}

/// Eight lanes in a vector, of one row or of several.
template <typename Traits, int kLanes, int kRows_>
struct VectorEncoder : PairsByLoads<Traits> {
  static constexpr int kRows = kRows_;
  static constexpr int kStoreSlack = sizeof(typename Traits::State) == 8 && kLanes >= 8 ? 32 : 16;
  using State = typename Traits::State;
  using VectorEncoder::ScalarTile::kTileStride;

  static void encode_groups(const TablesView& tables, State* states, std::uint8_t** outs,
                            const SlotPair* pairs, int begin, int end) {
    using Puts = EightPuts<Traits>;
    const typename Puts::Constants constants(tables.freq_precision);
    Puts x[kVectors];
    std::uint8_t* out[kRows];
    TORCH_ANS_UNROLL
    for (int k = 0; k < kVectors; ++k) x[k].load(states + 8 * k);
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) out[r] = outs[r];
    for (int group = end - 1; group >= begin; --group) {
      TORCH_ANS_UNROLL
      for (int k = 0; k < kVectors; ++k) {
        const int row = k * kSharers % kRows;
        const int lane = kLanes - kBlock - k * kSharers / kRows * kBlock;
        const SlotPair* place = pairs + row * kTileStride + group * kLanes + lane;
        Puts& state = x[(row * kLanes + lane) / 8];
        emit<kBlock>(state.put(constants, load_blocks<kBlock, kTileStride>(place)), out + row);
      }
    }
    TORCH_ANS_UNROLL
    for (int k = 0; k < kVectors; ++k) x[k].store(states + 8 * k);
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) outs[r] = out[r];
  }

 private:
  static constexpr int kVectors = kRows * kLanes / 8;
  static constexpr int kBlock = smaller(kLanes, 8);
  static constexpr int kSharers = 8 / kBlock;  ///< rows of a vector
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
