/// The ids of symbols whose tables follow from those before them, for tables that have offsets of
/// their own: a chain from table to symbol to table, in a row an element.
#pragma once

#include "contexts.h"
#include "cpu/prefetch_rows.h"
#include "cpu/recent_contexts.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// A step takes a load of 64 bits an element and little else: kVectors chains share the time that
/// it takes.
template <int kVectors>
class Avx512IdFinder {
 public:
  static constexpr int kRows = kVectors * kVecSize;

  static bool run(const CodingTask& task, std::int64_t first_row, const IdSpace& space) {
    return Avx512IdFinder(task, first_row, space).find_all();
  }

 private:
  static constexpr int kTile = RecentContexts::kLeastStretch;

  Avx512IdFinder(const CodingTask& task, std::int64_t first_row, const IdSpace& space)
      : task_(task),
        first_row_(first_row),
        ids_(space.ids),
        index_(*task.contexts),
        history_(*task.contexts, kRows, space.history),
        step_(task, space.columns) {}

  bool find_all() {
    const std::int64_t present = symbols_in_row(task_, first_row_);
    const ContextTask& contexts = *task_.contexts;
    const bool needs_bases = index_.needs_bases(task_.indexes);
    const bool only_last = contexts.order == 1 && contexts.offsets[0] == 1;
    __mmask16 outside = 0;
    for (std::int64_t first = 0; first < present; first += kTile) {
      const auto count = static_cast<int>(smaller<std::int64_t>(kTile, present - first));
      if (!load_tiles(first, count, needs_bases)) return false;
      outside |= needs_bases ? find_tile<true, false>(first, count)
                 : only_last ? find_tile<false, true>(first, count)
                             : find_tile<false, false>(first, count);
    }
    return outside == 0 || task_.tables.bypass_coding;
  }

  bool load_tiles(std::int64_t first, int count, bool needs_bases) {
    for (int r = 0; r < kRows; ++r) {
      const std::int64_t row = first_row_ + r;
      symbols_[r] = load_tile(task_.symbols, row, first, count, symbols_tile_[r]);
      if (needs_bases &&
          index_.load_bases(task_.indexes, row, first, count, scratch_, bases_tile_[r]) >= 0) {
        return false;
      }
    }
    return true;
  }

  /// kBases: entries do not only follow from contexts. kOnlyLast: but from the symbol before alone.
  /// Returns the elements that were outside their tables some time.
  template <bool kBases, bool kOnlyLast>
  __mmask16 find_tile(std::int64_t first, int count) {
    const Step step = step_;
    std::uint16_t* contexts = kOnlyLast ? nullptr : history_.append(count);
    __mmask16 outside = 0;
    for (int t = 0; t < count; t += kVecSize) {
      const int present = smaller(kVecSize, count - t);
      Vec symbols[kVectors][kVecSize], bases[kVectors][kVecSize];
      load_block(t, present, symbols);
      if constexpr (kBases) load_bases(t, bases);
      for (int k = 0; k < present; ++k) {
        TORCH_ANS_UNROLL
        for (int v = 0; v < kVectors; ++v) {
          Vec& symbol = symbols[v][k];
          if constexpr (kOnlyLast) {
            symbol = step.find(step.entries_after(last_[v]), symbol, last_[v], outside);
          } else {
            std::uint16_t* place = contexts + (t + k) * kRows + v * kVecSize;
            const Vec base = kBases ? bases[v][k] : _mm512_setzero_si512();
            Vec context;
            symbol = step.find(step.contexts.entries(base, place), symbol, context, outside);
            store_contexts(place, context);
          }
        }
      }
      store_block(first + t, present, symbols);
    }
    return outside;
  }

  static TORCH_ANS_FN void store_contexts(std::uint16_t* place, Vec contexts) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(place), _mm512_cvtusepi32_epi16(contexts));
  }

  /// Symbols as far away as 2^30 are outside every table that IdColumns describe.
  TORCH_ANS_FN void load_block(int t, int count, Vec (*symbols)[kVecSize]) const {
    const Vec far = splat(1u << 30);
    const Vec far_below = _mm512_sub_epi32(_mm512_setzero_si512(), far);
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      TORCH_ANS_UNROLL
      for (int r = 0; r < kVecSize; ++r) {
        const std::int32_t* place = symbols_[v * kVecSize + r] + t;
        const Vec symbol = _mm512_maskz_loadu_epi32(first_elements(count), place);
        prefetch_to_read(place);
        symbols[v][r] = _mm512_max_epi32(far_below, _mm512_min_epi32(symbol, far));
      }
      transpose_blocks<1>(symbols[v]);
    }
  }

  TORCH_ANS_FN void load_bases(int t, Vec (*bases)[kVecSize]) const {
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      TORCH_ANS_UNROLL
      for (int r = 0; r < kVecSize; ++r) {
        bases[v][r] = _mm512_load_si512(bases_tile_[v * kVecSize + r] + t);
      }
      transpose_blocks<1>(bases[v]);
    }
  }

  TORCH_ANS_FN void store_block(std::int64_t position, int count, Vec (*ids)[kVecSize]) const {
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      transpose_blocks<1>(ids[v]);
      TORCH_ANS_UNROLL
      for (int r = 0; r < kVecSize; ++r) {
        std::uint32_t* place = ids_ + element_of(task_, first_row_ + v * kVecSize + r, position);
        _mm512_mask_storeu_epi32(place, first_elements(count), ids[v][r]);
        prefetch_to_write(reinterpret_cast<std::int32_t*>(place));
      }
    }
  }

  static TORCH_ANS_FN __mmask16 first_elements(int count) {
    return static_cast<__mmask16>((1u << count) - 1u);
  }

  /// From a symbol to its id and its context.
  struct Step {
    const VectorContexts<kRows, 1> contexts;
    const std::uint64_t* columns;
    Vec direct;
    Vec last_context;

    Step(const CodingTask& task, const std::uint64_t* id_columns)
        : contexts(*task.contexts),
          columns(id_columns),
          direct(splat(task.tables.bypass_coding ? 0 : 1)),
          last_context(splat(
              static_cast<std::uint32_t>(smaller(task.contexts->sizes[0], kMaxContext + 1) - 1))) {}

    /// Where they are the only ones: those of the symbols before.
    TORCH_ANS_FN Vec entries_after(Vec before) const {
      return _mm512_min_epu32(before, last_context);
    }

    /// `context` may be above kMaxContext.
    TORCH_ANS_FN Vec find(Vec entries, Vec symbol, Vec& context, __mmask16& all_outside) const {
      const Vec first = gather(_mm512_castsi512_si256(entries));
      const Vec second = gather(_mm512_extracti64x4_epi64(entries, 1));
      const Halves found = split(first, second);
      const Vec low = found.low;
      const Vec high = found.high;
      const Vec v = _mm512_sub_epi32(symbol, _mm512_srai_epi32(high, 32 - IdColumns::kOffsetBits));
      context = _mm512_max_epi32(_mm512_add_epi32(v, splat(1)), _mm512_setzero_si512());
      const Vec last = _mm512_and_si512(low, splat(0xffff));
      const Vec base = _mm512_and_si512(_mm512_shrdi_epi32(low, high, 16),
                                        splat((1u << IdColumns::kBaseBits) - 1));
      const Vec id = _mm512_add_epi32(base, _mm512_min_epu32(v, last));
      const __mmask16 outside = _mm512_cmpge_epu32_mask(v, _mm512_add_epi32(last, direct));
      all_outside = static_cast<__mmask16>(all_outside | outside);
      return _mm512_mask_or_epi32(id, outside, id, splat(kOutsideTable));
    }

   private:
    TORCH_ANS_FN Vec gather(__m256i entries) const {
      return _mm512_i32gather_epi64(entries, columns, sizeof(*columns));
    }
  };

  static constexpr std::int32_t kMaxContext = 0xffff;

  const CodingTask& task_;
  const std::int64_t first_row_;
  std::uint32_t* const ids_;
  const ContextIndex index_;
  RecentContexts history_;
  const Step step_;
  Vec last_[kVectors] = {};  ///< the contexts of the last symbols, where no others count
  const std::int32_t* symbols_[kRows];
  std::int32_t scratch_[kTile];
  alignas(64) std::int32_t symbols_tile_[kRows][kTile];
  alignas(64) std::int32_t bases_tile_[kRows][kTile];
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
