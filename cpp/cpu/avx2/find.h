/// Looking the symbols of slots up, eight at a time.
#pragma once

#include "torch_ans/inverse_cdf.h"
#include "torch_ans/lookup.h"
#include "vectors.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Eight symbols, their freqs and the slots' ranks among theirs.
struct VectorMatch {
  __m256i symbol;
  __m256i freq;
  __m256i rank;
};

/// What a slot needs of eight tables.
struct DecoderColumns {
  __m256i offset;
  __m256i place;  ///< of the bucket in the middle of the LogGrid
  __m256i shift;
};

TORCH_ANS_FN DecoderColumns split_columns(__m256i offset, __m256i bucket_shift) {
  return {offset, _mm256_srli_epi32(bucket_shift, 5),
          _mm256_and_si256(bucket_shift, _mm256_set1_epi32(31))};
}

/// The same as TablesView::decoder_columns has it.
struct PackedColumns {
  __m256i offset;
  __m256i bucket_shift;
};

/// Of the tables index[0] .. index[7].
template <typename Indexes>
TORCH_ANS_FN PackedColumns load_packed_columns(const TablesView& tables, const Indexes& index) {
  const SplitColumn column = load_column(tables.decoder_columns, index);
  return {column.high, column.low};
}

template <typename Indexes>
TORCH_ANS_FN DecoderColumns load_decoder_columns(const TablesView& tables, const Indexes& index) {
  const PackedColumns packed = load_packed_columns(tables, index);
  return split_columns(packed.offset, packed.bucket_shift);
}

/// The bucket of each slot, by LogGrid (inverse_cdf.h).
TORCH_ANS_FN __m256i bucket_number(const DecoderColumns& table, __m256i slot, __m256i full) {
  const __m256i upper = _mm256_cmpgt_epi32(slot, _mm256_srli_epi32(full, 1));
  const __m256i distance = _mm256_xor_si256(slot, _mm256_and_si256(upper, full));
  const auto bits_of = [](__m256i value) { return _mm256_castps_si256(_mm256_cvtepi32_ps(value)); };
  const __m256i first_value = _mm256_set1_epi32(1 << LogGrid::kFirstOctave);
  const __m256i from_first =
      _mm256_sub_epi32(bits_of(_mm256_add_epi32(distance, first_value)), bits_of(first_value));
  const __m256i number = _mm256_srlv_epi32(from_first, table.shift);
  return _mm256_add_epi32(table.place, _mm256_xor_si256(number, upper));
}

/// The buckets whose numbers are the halves of `low` and of `high`. Loads one by one: gathers take
/// longer, and far longer on some CPUs.
TORCH_ANS_FN __m256 load_buckets(const Bucket* buckets, long long low, long long high) {
  const auto pair = [buckets](long long two) {
    const auto numbers = static_cast<std::uint64_t>(two);
    const auto* bucket = reinterpret_cast<const double*>(buckets);
    return _mm_loadh_pd(_mm_load_sd(bucket + (numbers & 0xffffffffu)), bucket + (numbers >> 32));
  };
  return _mm256_castpd_ps(_mm256_set_m128d(pair(high), pair(low)));
}

/// As InverseCdf::find_fast, from the numbers of the buckets on.
TORCH_ANS_FN VectorMatch match_in_buckets(const TablesView& tables, __m256i number, __m256i slot) {
  const __m128i low_numbers = _mm256_castsi256_si128(number);
  const __m128i high_numbers = _mm256_extracti128_si256(number, 1);
  const __m256 front = load_buckets(tables.log_buckets, _mm_cvtsi128_si64(low_numbers),
                                    _mm_cvtsi128_si64(high_numbers));
  const __m256 back = load_buckets(tables.log_buckets, _mm_extract_epi64(low_numbers, 1),
                                   _mm_extract_epi64(high_numbers, 1));
  const __m256i low = _mm256_castps_si256(_mm256_shuffle_ps(front, back, 0x88));
  const __m256i high = _mm256_castps_si256(_mm256_shuffle_ps(front, back, 0xdd));
  const __m256i low_half = _mm256_set1_epi32(0xffff);
  const __m256i ones = _mm256_set1_epi32(-1);
  const __m256i freq_a = _mm256_srli_epi32(low, 16);
  const __m256i rank_a = _mm256_sub_epi32(slot, _mm256_and_si256(low, low_half));
  const __m256i is_a = _mm256_cmpgt_epi32(freq_a, rank_a);
  return {_mm256_add_epi32(_mm256_srli_epi32(high, 16), _mm256_sub_epi32(is_a, ones)),
          pick(_mm256_and_si256(high, low_half), freq_a, is_a),
          pick(_mm256_sub_epi32(rank_a, freq_a), rank_a, is_a)};
}

/// The 32-bit values at four places, taken out of the vector two a 64-bit register.
template <typename T>
TORCH_ANS_FN __m128i load_at(const T* values, __m128i places) {
  static_assert(sizeof(T) == 4, "32-bit values");
  const auto front = static_cast<std::uint64_t>(_mm_cvtsi128_si64(places));
  const auto back = static_cast<std::uint64_t>(_mm_extract_epi64(places, 1));
  const auto* v = reinterpret_cast<const std::int32_t*>(values);
  const __m128i a = _mm_cvtsi32_si128(v[front & 0xffffffffu]);
  const __m128i b = _mm_cvtsi32_si128(v[back & 0xffffffffu]);
  return _mm_unpacklo_epi64(_mm_insert_epi32(a, v[front >> 32], 1),
                            _mm_insert_epi32(b, v[back >> 32], 1));
}

/// At eight places. Loads one by one: a gather takes longer. (No lambda has the halves: GCC calls
/// one that a loop needs often.)
template <typename T>
TORCH_ANS_FN __m256i load_eight(const T* values, __m256i places) {
  return _mm256_set_m128i(load_at(values, _mm256_extracti128_si256(places, 1)),
                          load_at(values, _mm256_castsi256_si128(places)));
}

/// Slots that tell all by themselves.
TORCH_ANS_FN VectorMatch find_packed(const TablesView& tables, __m256i slot) {
  const __m256i found = load_eight(tables.packed_slots, slot);
  const __m256i low12 = _mm256_set1_epi32((1 << kPackedSlotPrecision) - 1);
  return {_mm256_srli_epi32(found, 24),
          _mm256_and_si256(_mm256_srli_epi32(found, kPackedSlotPrecision), low12),
          _mm256_and_si256(found, low12)};
}

/// The matches of kCount vectors of slots, each part of finding them for all vectors in turn: what
/// one vector waits for is longer than a CPU sees ahead. Of packed slots `tables` tells all.
template <bool kPacked, int kCount>
TORCH_ANS_FN void find_together(const TablesView& tables, const DecoderColumns* table,
                                const __m256i* slots, __m256i full, VectorMatch* matches) {
  __m256i numbers[kCount];
  TORCH_ANS_UNROLL
  for (int k = 0; k < kCount && !kPacked; ++k) numbers[k] = bucket_number(table[k], slots[k], full);
  TORCH_ANS_UNROLL
  for (int k = 0; k < kCount; ++k) {
    matches[k] =
        kPacked ? find_packed(tables, slots[k]) : match_in_buckets(tables, numbers[k], slots[k]);
  }
}

/// The symbol of a slot, 16 symbols a look. `from`: one that starts at or below the slot. No symbol
/// owns all 2^16 slots.
TORCH_ANS_FN Match search_cdf16(const TablesView& tables, std::uint32_t base, std::uint32_t from,
                                std::uint32_t slot) {
  // A symbol is passed if end <= slot, which is end - 1 < slot: an end of 2^16 reads 0. The
  // table's last symbol is never passed, so what stands behind it is never looked for.
  const __m256i slots = _mm256_set1_epi16(static_cast<std::int16_t>(slot));
  const std::uint16_t* cdf = tables.cdf16 + base + from;
  for (;; cdf += 16) {
    const __m256i ends = _mm256_sub_epi16(load256(cdf + 1), _mm256_set1_epi16(1));
    const __m256i stays = _mm256_cmpeq_epi16(_mm256_max_epu16(ends, slots), ends);
    const auto bytes = static_cast<std::uint32_t>(_mm256_movemask_epi8(stays));
    if (bytes == 0) continue;
    cdf += _tzcnt_u32(bytes) / 2;
    const std::uint32_t start = cdf[0];
    return {static_cast<std::uint32_t>(cdf - tables.cdf16) - base, (cdf[1] - start) & 0xffff,
            slot - start};
  }
}

/// Looks the lanes in `unresolved` up one by one, in the tables `index(lane)`. Whether one is a
/// table's last symbol.
template <typename Index>
TORCH_ANS_COLD bool find_slowly(const TablesView& tables, const Index& index, __m256i slots,
                                std::uint32_t unresolved, VectorMatch& match) {
  alignas(32) std::uint32_t slot[8], symbol[8], freq[8], rank[8];
  store256(slot, slots);
  store256(symbol, match.symbol);
  store256(freq, match.freq);
  store256(rank, match.rank);
  bool is_last = false;
  for (; unresolved != 0; unresolved &= unresolved - 1) {
    const int lane = static_cast<int>(_tzcnt_u32(unresolved));
    const TableInfo& info = tables.info[index(lane)];
    // The bucket's second symbol is not it; its first one may have been left out.
    const Match found = search_cdf16(tables, info.base, symbol[lane] - 1, slot[lane]);
    symbol[lane] = found.symbol;
    freq[lane] = found.freq;
    rank[lane] = found.rank;
    is_last |= found.symbol == info.last;
  }
  match = {load256(symbol), load256(freq), load256(rank)};
  return is_last;
}

/// The same for those lanes of a match that their buckets could not tell.
template <typename Index>
TORCH_ANS_FN bool find_rest(const TablesView& tables, const Index& index, __m256i slots,
                            VectorMatch& match) {
  const __m256i found = _mm256_cmpgt_epi32(match.freq, match.rank);
  const int resolved = _mm256_movemask_ps(_mm256_castsi256_ps(found));
  if (!unlikely(resolved != 0xff)) return false;
  VectorMatch searched = match;  // of its own, or the common path would go by memory
  const auto unresolved = static_cast<std::uint32_t>(resolved ^ 0xff);
  const bool is_last = find_slowly(tables, index, slots, unresolved, searched);
  match = searched;
  return is_last;
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
