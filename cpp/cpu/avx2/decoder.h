/// Decoder for rows of several lanes: eight lanes in a vector, of one row or of several.
#pragma once

#include "cpu/scalar/backends.h"
#include "lane_tables.h"
#include "words.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

template <int kBlock>
TORCH_ANS_FN void store_blocks(const EightPlaces<kBlock, std::int32_t>& places, __m256i values) {
  const __m128i half[2] = {_mm256_castsi256_si128(values), _mm256_extracti128_si256(values, 1)};
  if constexpr (kBlock == 8) {
    store256(&places[0], values);
  } else {
    TORCH_ANS_UNROLL
    for (int h = 0; h < 2; ++h) {
      if constexpr (kBlock == 4) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(&places[4 * h]), half[h]);
      } else {
        _mm_storel_epi64(reinterpret_cast<__m128i*>(&places[4 * h]), half[h]);
        _mm_storeh_pi(reinterpret_cast<__m64*>(&places[4 * h + 2]), _mm_castsi128_ps(half[h]));
      }
    }
  }
}

/// kVectors vectors of lanes: a row has several of them, or a vector several rows.
template <typename Traits, int kLanes, int kVectors>
struct VectorDecoder : ScalarDecoder<Traits, kLanes, 8 * kVectors / kLanes, FindByBucket>,
                       NarrowByPacks {
  static constexpr int kRows = 8 * kVectors / kLanes;
  static constexpr bool kInPlace = true;
  using State = typename Traits::State;

  /// More than four vectors with tables of their own do not stay in registers, nor do more than
  /// eight rows. With one table a vector that waits for itself is no faster than scalars.
  static bool accepts(const CodingTask& task) {
    return (task.tables.num_tables == 1 ? kOneTable : kManyTables) && accepts_log_buckets(task);
  }

  static int decode_groups(const TablesView& tables, const TileRows<State>& rows, int begin,
                           int end, bool& escaped) {
    if constexpr (kManyTables) {
      if (!kOneTable || tables.num_tables > 1) {
        return decode(NamedLanesTables<kBlock>(tables, rows.indexes), tables, rows, begin, end,
                      escaped);
      }
    }
    if constexpr (kOneTable) {
      if (tables.packed_slots != nullptr) {
        return decode(OneLanesTable<true>(tables), tables, rows, begin, end, escaped);
      }
      return decode(OneLanesTable<false>(tables), tables, rows, begin, end, escaped);
    }
  }

 protected:
  static constexpr int kBlock = smaller(kLanes, 8);

  /// Not inlined: the loops around it would take registers from this one.
  template <typename Source>
  static TORCH_ANS_NOINLINE int decode(const Source& source_given, const TablesView& tables_view,
                                       const TileRows<State>& rows_given, int begin, int end,
                                       bool& escaped) {
    constexpr int kTogether = smaller(Source::kPacked ? 2 : 4, kVectors);
    const Source source = source_given;
    const TablesView tables = tables_view;
    const TileRows<State> rows = rows_given;
    const StepConstants constants = step_constants<Traits>(tables.freq_precision);
    Working w;
    TORCH_ANS_UNROLL
    for (int k = 0; k < kVectors; ++k) w.x[k].load(rows.states + 8 * k);
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) w.in[r] = rows.in[r];
    bool sentinels = false;
    int group = begin;
    for (; group < end && !sentinels; ++group) {
      ask_ahead<Source::kReadsIndexes>(rows, w.in, group * kLanes);
      TORCH_ANS_UNROLL
      for (int first = 0; first < kVectors; first += kTogether) {
        sentinels |= decode_vectors<kTogether>(source, tables, constants, rows, w, group, first);
      }
      sentinels &= tables.bypass_coding;
    }
    escaped = sentinels;
    TORCH_ANS_UNROLL
    for (int k = 0; k < kVectors; ++k) w.x[k].store(rows.states + 8 * k);
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) rows.in[r] = w.in[r];
    return group;
  }

 private:
  static constexpr bool kOneTable = kVectors > 1 || kLanes >= 8;
  static constexpr bool kManyTables = kVectors <= 4 && kRows <= 8;
  static constexpr int kSharers = 8 / kBlock;  ///< rows of a vector

  /// All that changes from step to step.
  struct Working {
    EightStates<Traits> x[kVectors];
    const std::uint8_t* in[kRows];
  };

  /// Vectors `first` .. first + kCount - 1 of a group, where vector v of row r comes behind vector
  /// v of row r - 1. Returns whether one of the symbols is a table's last.
  template <int kCount, typename Source>
  static TORCH_ANS_FN bool decode_vectors(const Source& source, const TablesView& tables,
                                          const StepConstants& constants,
                                          const TileRows<State>& rows, Working& w, int group,
                                          int first) {
    const auto row = [=](int k) { return (first + k) * kSharers % kRows; };
    const auto lane = [=](int k) { return (first + k) * kSharers / kRows * 8; };
    const auto t = [=](int k) { return group * kLanes + lane(k); };
    const auto state = [&](int k) -> auto& { return w.x[(row(k) * kLanes + lane(k)) / 8]; };
    DecoderColumns table[kCount];
    __m256i slots[kCount];
    VectorMatch matches[kCount];
    TORCH_ANS_UNROLL
    for (int k = 0; k < kCount; ++k) {
      table[k] = source.columns(row(k), t(k));
      slots[k] = state(k).slots(constants);
    }
    find_together<Source::kPacked, kCount>(tables, table, slots, constants.full, matches);
    bool sentinels = false;
    TORCH_ANS_UNROLL
    for (int k = 0; k < kCount; ++k) {
      if constexpr (!Source::kPacked) {
        sentinels |= find_rest(tables, source.index_of(row(k), t(k)), slots[k], matches[k]);
      }
      source.found(row(k), t(k), matches[k].symbol);
      store_blocks<kBlock>({rows.symbols + row(k), t(k)},
                           _mm256_add_epi32(matches[k].symbol, table[k].offset));
      state(k).advance(matches[k], constants);
      absorb<kBlock>(constants, state(k), w.in + row(k));
    }
    return sentinels;
  }

  /// Asks for what the rows touch later, a cache line at a time: they are more streams than a CPU's
  /// prefetchers follow.
  template <bool kIndexes>
  static TORCH_ANS_FN void ask_ahead(const TileRows<State>& rows, const std::uint8_t* const* in,
                                     int t) {
    constexpr int kLine = kCacheLine / static_cast<int>(sizeof(std::int32_t));
    constexpr int kBytesAhead = 192;
    constexpr int kAhead = ScalarTile::kTileSymbols + 2 * kLine;
    if (t % kLine != 0) return;
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) {
      prefetch(in[r] - kBytesAhead);
      TORCH_ANS_UNROLL
      for (int line = t; line < t + kLanes; line += kLine) {
        if constexpr (kIndexes) prefetch(rows.indexes[r] + line + kAhead);
        prefetch_to_write(rows.symbols[r] + line);
      }
    }
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
