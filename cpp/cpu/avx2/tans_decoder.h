/// Pop of tANS: eight rows in a vector. The lanes of a row share their bits, so that only rows are
/// independent.
#pragma once

#include "cpu/prefetch_rows.h"
#include "cpu/scalar/tans_backends.h"
#include "tans_bits.h"
#include "tans_tables.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

template <int kLanes, int kVectors>
class VectorTansDecoder : public TansShape<kLanes, 8 * kVectors> {
 public:
  using Shape = TansShape<kLanes, 8 * kVectors>;
  using Shape::kRows, Shape::kStates;
  using Job = TileRows<std::uint32_t>;
  static constexpr bool kInPlace = true;

  /// Offsets between the rows are 32-bit numbers.
  static bool accepts(const CodingTask& task) {
    return task.row_bytes < (std::int64_t{1} << 31) / kRows;
  }

  static int decode_groups(const TablesView& tables, const Job& job, int begin, int end,
                           bool& escaped) {
    if (tables.num_tables == 1) {
      return decode(OneTansTable(tables), tables, job, begin, end, escaped);
    }
    return tables.alike ? decode(Named<true>(tables), tables, job, begin, end, escaped)
                        : decode(Named<false>(tables), tables, job, begin, end, escaped);
  }

 protected:
  /// Eight symbols of a row, or a group where that is longer.
  static constexpr int kRound = larger(kLanes, 8);

  template <typename Source>
  static int decode(Source source, const TablesView& tables, const Job& job, int begin, int end,
                    bool& escaped) {
    constexpr int kRoundGroups = kRound / kLanes;
    const Step step(tables);
    Rows rows;
    Symbols symbols;
    load(tables, job, rows);
    escaped = false;
    int group = begin;
    while (group < end && !escaped) {
      const int first = group * kLanes;
      const int groups = smaller(kRoundGroups, end - group);
      source.load(job.indexes, first, groups * kLanes);
      ask_ahead(job, rows, first);
      int done = 0;
      while (done < groups && !escaped) {
        if constexpr (kLanes <= kPace) refill(rows);
        TORCH_ANS_UNROLL
        for (int g = 0; g < kPaceGroups; ++g) {
          if (done >= groups || escaped) break;
          escaped = !get_group(step, source, rows, symbols, done * kLanes, g);
          done += escaped ? 0 : 1;
        }
      }
      store_symbols(job, source, symbols, first, done * kLanes);
      group += done;
    }
    store(tables, job, rows);
    return group;
  }

 private:
  template <bool kAlike>
  using Named = NamedTansTables<kVectors, kRound, kAlike>;

  static constexpr int kPace = TansPace<false>::kSymbols;  ///< symbols between two refills
  static constexpr int kBatch = smaller(kLanes, kPace);
  static constexpr int kPaceGroups = kPace / kBatch;

  /// What every symbol needs. A number of up to 24 bits is exact as a float: its bits are
  /// 127 + the place of the highest bit, then the bits below that one from the top of 23 down.
  struct Step {
    const std::uint32_t* slots;
    bool stops;                 ///< at sentinels
    bool wide;                  ///< half as many symbols between two refills
    __m256i full;               ///< the last slot
    __m256i n_minuend;          ///< n = this - exponent
    __m256i others_subtrahend;  ///< 32 - n = exponent - this
    __m128i fraction_shift;

    explicit Step(const TablesView& tables)
        : slots(tables.tans_slots),
          stops(tables.bypass_coding),
          wide(tables.freq_precision > TansPace<false>::kMaxPrecision),
          full(_mm256_set1_epi32((1 << tables.freq_precision) - 1)),
          n_minuend(_mm256_set1_epi32(127 + tables.freq_precision)),
          others_subtrahend(_mm256_set1_epi32(127 + tables.freq_precision - 32)),
          fraction_shift(_mm_cvtsi32_si128(23 - tables.freq_precision)) {}
  };

  /// The rows between two symbols.
  struct Rows {
    __m256i x[kLanes][kVectors];  ///< slots, not states
    EightBuffers<kStates> bits[kVectors];
  };

  /// Apart from them, as what is indexed by numbers known late stays in memory.
  using Symbols = __m256i[kVectors][kRound];

  static TORCH_ANS_FN void load(const TablesView& tables, const Job& job, Rows& rows) {
    const std::uint32_t size = std::uint32_t{1} << tables.freq_precision;
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      const std::uint32_t* own = job.states + 8 * v * kStates;
      for (int first = 0; first < kLanes; first += kBatch) {
        TORCH_ANS_UNROLL
        for (int lane = first; lane < first + kBatch; ++lane) {
          alignas(32) std::uint32_t slots[8];
          for (int r = 0; r < 8; ++r) slots[r] = own[r * kStates + lane] - size;
          rows.x[lane][v] = load256(slots);
        }
      }
      rows.bits[v].load(own, job.in[0], job.in + 8 * v);
    }
  }

  static TORCH_ANS_FN void store(const TablesView& tables, const Job& job, Rows& rows) {
    const std::uint32_t size = std::uint32_t{1} << tables.freq_precision;
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      std::uint32_t* own = job.states + 8 * v * kStates;
      for (int first = 0; first < kLanes; first += kBatch) {
        TORCH_ANS_UNROLL
        for (int lane = first; lane < first + kBatch; ++lane) {
          alignas(32) std::uint32_t slots[8];
          store256(slots, rows.x[lane][v]);
          for (int r = 0; r < 8; ++r) own[r * kStates + lane] = slots[r] + size;
        }
      }
      rows.bits[v].store(own, job.in + 8 * v);
    }
  }

  static TORCH_ANS_FN void refill(Rows& rows) {
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) rows.bits[v].refill();
  }

  /// The group at t of the round, the `number`-th since the last refill. False: it holds a
  /// sentinel, and is left alone. A symbol is known from its state before a bit is read.
  template <typename Source>
  static TORCH_ANS_FN bool get_group(const Step& step, Source& source, Rows& rows, Symbols& symbols,
                                     int t, int number) {
    __m256i entries[kLanes][kVectors];
    __m256i all = _mm256_setzero_si256();
    for (int first = 0; first < kLanes; first += kBatch) {
      TORCH_ANS_UNROLL
      for (int lane = first; lane < first + kBatch; ++lane) {
        TORCH_ANS_UNROLL
        for (int v = 0; v < kVectors; ++v) {
          const __m256i begins = source.begins(v, t + lane);
          entries[lane][v] = load_eight(step.slots, _mm256_add_epi32(rows.x[lane][v], begins));
          all = _mm256_or_si256(all, entries[lane][v]);
        }
      }
    }
    const __m256i sentinel = _mm256_set1_epi32(kTansSentinel);
    if (step.stops && unlikely(_mm256_testz_si256(all, sentinel) == 0)) return false;
    for (int first = 0; first < kLanes; first += kBatch) {
      if constexpr (kLanes > kBatch) refill(rows);
      TORCH_ANS_UNROLL
      for (int k = 0; k < kBatch; ++k) {
        const int lane = first + k;
        const int position = number * kBatch + k;
        if (position == TansPace<true>::kSymbols && unlikely(step.wide)) refill(rows);
        TORCH_ANS_UNROLL
        for (int v = 0; v < kVectors; ++v) {
          const __m256i entry = entries[lane][v];
          rows.x[lane][v] = next_slots(step, entry, rows.bits[v]);
          symbols[v][t + lane] = source.found(v, t + lane, entry);
          if (position % 2 == 1) rows.bits[v].top_up();
        }
      }
    }
    return true;
  }

  static TORCH_ANS_FN __m256i next_slots(const Step& step, __m256i entry,
                                         EightBuffers<kStates>& bits) {
    const __m256i before = _mm256_castps_si256(_mm256_cvtepi32_ps(_mm256_srli_epi32(entry, 16)));
    const __m256i exponent = _mm256_srli_epi32(before, 23);
    const __m256i fresh = bits.take(_mm256_sub_epi32(step.n_minuend, exponent),
                                    _mm256_sub_epi32(exponent, step.others_subtrahend));
    const __m256i grown = _mm256_srl_epi32(before, step.fraction_shift);
    return _mm256_or_si256(_mm256_and_si256(grown, step.full), fresh);
  }

  /// More streams meet here than a CPU's prefetchers follow. The lines of symbols are asked for
  /// late: where rows are a power of two apart they fall into the same few places of the caches.
  static TORCH_ANS_FN void ask_ahead(const Job& job, const Rows& rows, int first) {
    constexpr int kBytesAhead = 192;
    constexpr int kSymbolsAhead = 32;
    constexpr int kIndexesAhead = ScalarTile::kTileSymbols + 32;
    for (int t = first; t < first + kRound; t += 8) {
      TORCH_ANS_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        const auto cursor = rows.bits[v].cursors();
        TORCH_ANS_UNROLL
        for (int r = 0; r < 8; ++r) {
          if (t % 16 == 0) {
            prefetch(cursor(r) - kBytesAhead);
            if (job.indexes != nullptr) prefetch_l2(job.indexes[8 * v + r] + t + kIndexesAhead);
          } else {
            prefetch_to_write(job.symbols[8 * v + r] + t - kPrefetchAhead + kSymbolsAhead);
          }
        }
      }
    }
  }

  template <typename Source>
  static TORCH_ANS_FN void store_symbols(const Job& job, const Source& source,
                                         const Symbols& symbols, int first, int count) {
    for (int v = 0; v < kVectors; ++v) {
      for (int t = 0; t < kRound; t += 8) {
        __m256i by_row[8];
        transpose_8(symbols[v] + t, by_row);
        TORCH_ANS_UNROLL
        for (int r = 0; r < 8; ++r) {
          store_first(job.symbols[8 * v + r] + first + t, count - t,
                      source.finish(v, r, t, by_row[r]));
        }
      }
    }
  }
};

template <int kLanes, int kVectors>
struct VectorTansContextDecoder : VectorTansDecoder<kLanes, kVectors>, FollowsSymbols {
  using Base = VectorTansDecoder<kLanes, kVectors>;
  using Base::kRows;
  static constexpr int kHistoryBlock = 1;

  static int decode_groups(const FollowingTile<kRows, kHistoryBlock>& tile,
                           const TileRows<std::uint32_t>& rows, int begin, int end, bool& escaped) {
    using Source = FollowingTansTables<kVectors, Base::kRound>;
    return Base::decode(Source(tile), tile.tables, rows, begin, end, escaped);
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
