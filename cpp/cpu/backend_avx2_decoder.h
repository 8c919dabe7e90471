/// Decoder for 32-bit states: eight lanes of a row in a vector.
#pragma once

#include "backend_avx2.h"
#include "backend_avx2_shuffles.h"
#include "backend_scalar.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Where x is below the lower bound a word of 16 bits enters, lowest lane first. Reads 16 bytes
/// below `in`.
TORCH_ANS_FN __m256i absorb_words(__m256i x, __m256i need, const std::uint8_t*& in) {
  const auto mask = static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(need)));
  const __m128i below = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in - 16));
  const auto* shuffle = reinterpret_cast<const __m128i*>(kSpreadWords.bytes[mask]);
  const __m256i words = _mm256_cvtepu16_epi32(_mm_shuffle_epi8(below, _mm_load_si128(shuffle)));
  in -= 2 * _mm_popcnt_u32(mask);
  const __m256i refilled = _mm256_or_si256(_mm256_slli_epi32(x, 16), words);
  return _mm256_blendv_epi8(x, refilled, need);
}

/// The same for up to two words of 8 bits a lane.
TORCH_ANS_FN __m256i absorb_bytes(__m256i x, __m256i need, __m256i need_again,
                                  const std::uint8_t*& in) {
  const __m256i pairs = _mm256_blend_epi16(need, need_again, 0xaa);
  const auto masks =
      static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_packs_epi16(pairs, pairs)));
  const std::uint32_t mask[2] = {masks & 0xff, masks >> 16 & 0xff};
  __m128i bytes[2];
  for (int half = 0; half < 2; ++half) {
    // Eight bytes may enter and no more are known to be there.
    const __m128i below =
        _mm_slli_si128(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(in - 8)), 8);
    const auto* shuffle = reinterpret_cast<const __m128i*>(kSpreadBytes.bytes[mask[half]]);
    bytes[half] = _mm_shuffle_epi8(below, _mm_load_si128(shuffle));
    in -= _mm_popcnt_u32(mask[half]);
  }
  const __m256i eight = _mm256_set1_epi32(8);
  const __m256i shift =
      _mm256_add_epi32(_mm256_and_si256(need, eight), _mm256_and_si256(need_again, eight));
  return _mm256_or_si256(_mm256_sllv_epi32(x, shift), _mm256_set_m128i(bytes[1], bytes[0]));
}

/// Eight symbols, their freqs and the slots' ranks among theirs.
struct VectorMatch {
  __m256i symbol;
  __m256i freq;
  __m256i rank;
};

/// As InverseCdf::find_fast.
TORCH_ANS_FN VectorMatch find_fast(const TablesView& tables, const TableColumns& table,
                                   __m256i slot) {
  const auto* buckets = reinterpret_cast<const long long*>(tables.buckets);
  const __m256i number = _mm256_add_epi32(table.bucket, _mm256_srlv_epi32(slot, table.shift));
  // Gathered as 0 1 4 5 and 2 3 6 7, which the shuffles below put in order.
  const __m256i order = _mm256_permute4x64_epi64(number, 0xd8);
  const __m256 front =
      _mm256_castsi256_ps(_mm256_i32gather_epi64(buckets, _mm256_castsi256_si128(order), 8));
  const __m256 back =
      _mm256_castsi256_ps(_mm256_i32gather_epi64(buckets, _mm256_extracti128_si256(order, 1), 8));
  const __m256i low = _mm256_castps_si256(_mm256_shuffle_ps(front, back, 0x88));
  const __m256i high = _mm256_castps_si256(_mm256_shuffle_ps(front, back, 0xdd));
  const __m256i low_half = _mm256_set1_epi32(0xffff);
  const __m256i ones = _mm256_set1_epi32(-1);
  const __m256i freq_a = _mm256_srli_epi32(low, 16);
  const __m256i rank_a = _mm256_sub_epi32(slot, _mm256_and_si256(low, low_half));
  const __m256i is_a = _mm256_cmpgt_epi32(freq_a, rank_a);
  return {_mm256_add_epi32(_mm256_srli_epi32(high, 16), _mm256_sub_epi32(is_a, ones)),
          _mm256_blendv_epi8(_mm256_and_si256(high, low_half), freq_a, is_a),
          _mm256_blendv_epi8(_mm256_sub_epi32(rank_a, freq_a), rank_a, is_a)};
}

/// Looks the lanes in `unresolved` up one by one. Whether one is a table's last symbol.
TORCH_ANS_COLD bool find_slowly(const TablesView& tables, const std::int32_t* indexes,
                                __m256i slots, std::uint32_t unresolved, VectorMatch& match) {
  alignas(32) std::uint32_t slot[8], symbol[8], freq[8], rank[8];
  store256(slot, slots);
  store256(symbol, match.symbol);
  store256(freq, match.freq);
  store256(rank, match.rank);
  bool is_last = false;
  for (; unresolved != 0; unresolved &= unresolved - 1) {
    const int lane = static_cast<int>(_tzcnt_u32(unresolved));
    const TableInfo& info = tables.info[indexes == nullptr ? 0 : indexes[lane]];
    const Match found = InverseCdf::find_slowly(tables, info, slot[lane]);
    symbol[lane] = found.symbol;
    freq[lane] = found.freq;
    rank[lane] = found.rank;
    is_last |= found.symbol == info.last;
  }
  match = {load256(symbol), load256(freq), load256(rank)};
  return is_last;
}

template <typename Traits, int kLanes, int kRows_>
struct VectorDecoder : ScalarDecoder<Traits, kLanes, kRows_, FindByBucket> {
  static constexpr int kRows = kRows_;
  static constexpr int kVectors = kLanes / 8;
  static constexpr int kTileStride = ScalarTile::kTileStride;
  using State = typename Traits::State;

  static bool accepts(const CodingTask& task) { return !task.tables.has_full_freq; }

  static int decode_groups(const TablesView& tables, State* states, const std::uint8_t** ins,
                           const std::int32_t* const* indexes, std::int32_t* const* symbols,
                           int begin, int end, bool& escaped) {
    return indexes == nullptr
               ? decode<true>(tables, states, ins, nullptr, symbols[0], begin, end, escaped)
               : decode<false>(tables, states, ins, indexes[0], symbols[0], begin, end, escaped);
  }

 private:
  template <bool kSingleTable>
  static int decode(const TablesView& tables_view, State* states, const std::uint8_t** ins,
                    const std::int32_t* indexes, std::int32_t* symbols, int begin, int end,
                    bool& escaped) {
    const TablesView tables = tables_view;
    constexpr std::int32_t kFirst[8] = {};
    const TableColumns single = load_columns(tables, kFirst);
    const __m256i precision = _mm256_set1_epi32(tables.freq_precision);
    __m256i x[kRows * kVectors];
    const std::uint8_t* in[kRows];
    TORCH_ANS_UNROLL
    for (int k = 0; k < kRows * kVectors; ++k) x[k] = load256(states + 8 * k);
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) in[r] = ins[r];
    bool sentinels = false;
    int group = begin;
    for (; group < end && !sentinels; ++group) {
      TORCH_ANS_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        TORCH_ANS_UNROLL
        for (int r = 0; r < kRows; ++r) {
          const int element = r * kTileStride + group * kLanes + 8 * v;
          const std::int32_t* index = kSingleTable ? nullptr : indexes + element;
          const TableColumns table = kSingleTable ? single : load_columns(tables, index);
          __m256i& lanes = x[r * kVectors + v];
          const __m256i slot = slots_of(lanes, precision);
          VectorMatch match = find_fast(tables, table, slot);
          const __m256i found = _mm256_cmpgt_epi32(match.freq, match.rank);
          const int resolved = _mm256_movemask_ps(_mm256_castsi256_ps(found));
          if (unlikely(resolved != 0xff)) {
            sentinels |= find_slowly(tables, index, slot,
                                     static_cast<std::uint32_t>(resolved ^ 0xff), match);
          }
          store256(symbols + element, _mm256_add_epi32(match.symbol, table.offset));
          lanes = get(lanes, match, precision, in[r]);
        }
      }
      sentinels &= tables.bypass_coding;
    }
    escaped = sentinels;
    TORCH_ANS_UNROLL
    for (int k = 0; k < kRows * kVectors; ++k) store256(states + 8 * k, x[k]);
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) ins[r] = in[r];
    return group;
  }

  static TORCH_ANS_FN __m256i slots_of(__m256i x, __m256i precision) {
    return _mm256_andnot_si256(_mm256_sllv_epi32(_mm256_set1_epi32(-1), precision), x);
  }

  /// D(x).
  static TORCH_ANS_FN __m256i get(__m256i x, const VectorMatch& match, __m256i precision,
                                  const std::uint8_t*& in) {
    const __m256i quotient = _mm256_srlv_epi32(x, precision);
    x = _mm256_add_epi32(_mm256_mullo_epi32(quotient, match.freq), match.rank);
    const __m256i need =
        _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(Traits::kLowerBound)), x);
    if constexpr (Traits::kMaxWords == 1) {
      return absorb_words(x, need, in);
    } else {
      const __m256i need_again = _mm256_cmpgt_epi32(
          _mm256_set1_epi32(static_cast<int>(Traits::kLowerBound >> Traits::kWordBits)), x);
      return absorb_bytes(x, need, need_again, in);
    }
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
