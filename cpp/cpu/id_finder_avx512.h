/// The ids of symbols whose tables follow from those before them, for tables that have offsets of
/// their own: a chain from table to symbol to table, in a row an element.
#pragma once

#include "contexts_avx512.h"
#include "prefetch_rows.h"
#include "recent_contexts.h"

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
        columns_(space.columns),
        ids_(space.ids),
        index_(*task.contexts),
        contexts_(*task.contexts),
        history_(*task.contexts, kRows, space.history),
        direct_(splat(task.tables.bypass_coding ? 0 : 1)) {}

  bool find_all() {
    const std::int64_t present = symbols_in_row(task_, first_row_);
    const bool needs_bases = index_.needs_bases(task_.indexes);
    for (std::int64_t first = 0; first < present; first += kTile) {
      const auto count = static_cast<int>(smaller<std::int64_t>(kTile, present - first));
      for (int r = 0; r < kRows; ++r) {
        const std::int64_t row = first_row_ + r;
        symbols_[r] = load_tile(task_.symbols, row, first, count, symbols_tile_[r]);
        if (needs_bases &&
            index_.load_bases(task_.indexes, row, first, count, scratch_, bases_tile_[r]) >= 0) {
          return false;
        }
      }
      std::uint16_t* contexts = history_.append(count);
      for (int t = 0; t < count; t += kVecSize) {
        find_block(first, t, smaller(kVecSize, count - t), needs_bases, contexts + t * kRows);
      }
    }
    return outside_ == 0 || task_.tables.bypass_coding;
  }

  /// Symbols [t, t + count) of a tile, count <= kVecSize.
  TORCH_ANS_FN void find_block(std::int64_t first, int t, int count, bool needs_bases,
                               std::uint16_t* contexts) {
    const auto present = static_cast<__mmask16>((1u << count) - 1u);
    Vec symbols[kVectors][kVecSize], bases[kVectors][kVecSize];
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      load_block(symbols_ + v * kVecSize, t, present, symbols[v]);
      if (!needs_bases) continue;
      TORCH_ANS_UNROLL
      for (int r = 0; r < kVecSize; ++r) {
        bases[v][r] = _mm512_load_si512(bases_tile_[v * kVecSize + r] + t);
      }
      transpose_blocks<1>(bases[v]);
    }
    for (int step = 0; step < count; ++step) {
      TORCH_ANS_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        Vec& symbol = symbols[v][step];
        const Vec base = needs_bases ? bases[v][step] : _mm512_setzero_si512();
        symbol = find_step(symbol, base, contexts + step * kRows + v * kVecSize);
      }
    }
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      transpose_blocks<1>(symbols[v]);
      for (int r = 0; r < kVecSize; ++r) {
        std::uint32_t* place = ids_ + element_of(task_, first_row_ + v * kVecSize + r, first + t);
        _mm512_mask_storeu_epi32(place, present, symbols[v][r]);
        prefetch_to_write(reinterpret_cast<std::int32_t*>(place));
      }
    }
  }

  /// Symbols as far away as 2^30 are outside every table that IdColumns describe.
  static TORCH_ANS_FN void load_block(const std::int32_t* const* rows, int t, __mmask16 present,
                                      Vec* symbols) {
    const Vec far = splat(1u << 30);
    const Vec far_below = _mm512_sub_epi32(_mm512_setzero_si512(), far);
    TORCH_ANS_UNROLL
    for (int r = 0; r < kVecSize; ++r) {
      const Vec symbol = _mm512_maskz_loadu_epi32(present, rows[r] + t);
      prefetch_to_read(rows[r] + t);
      symbols[r] = _mm512_max_epi32(far_below, _mm512_min_epi32(symbol, far));
    }
    transpose_blocks<1>(symbols);
  }

  /// The ids of sixteen symbols; their own contexts go to `place`.
  TORCH_ANS_FN Vec find_step(Vec symbol, Vec base, std::uint16_t* place) {
    const Vec entries = contexts_.entries(base, place);
    const Vec first =
        _mm512_i32gather_epi64(_mm512_castsi512_si256(entries), columns_, sizeof(*columns_));
    const Vec second =
        _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(entries, 1), columns_, sizeof(*columns_));
    const Vec even = _mm512_slli_epi32(iota(), 1);
    const Vec high = _mm512_permutex2var_epi32(first, _mm512_or_si512(even, splat(1)), second);
    const Vec low = _mm512_permutex2var_epi32(first, even, second);
    const Vec v = _mm512_sub_epi32(symbol, _mm512_srai_epi32(high, 32 - IdColumns::kOffsetBits));
    VectorContexts<kRows, 1>::found(place, _mm512_max_epi32(v, splat(~0u)));
    const Vec last = _mm512_and_si512(low, splat(0xffff));
    const Vec table_base = _mm512_and_si512(_mm512_shrdi_epi32(low, high, 16),
                                            splat((1u << IdColumns::kBaseBits) - 1));
    const Vec id = _mm512_add_epi32(table_base, _mm512_min_epu32(v, last));
    const __mmask16 outside = _mm512_cmpge_epu32_mask(v, _mm512_add_epi32(last, direct_));
    outside_ = static_cast<__mmask16>(outside_ | outside);
    return _mm512_mask_or_epi32(id, outside, id, splat(kOutsideTable));
  }

  const CodingTask& task_;
  const std::int64_t first_row_;
  const std::uint64_t* const columns_;
  std::uint32_t* const ids_;
  const ContextIndex index_;
  const VectorContexts<kRows, 1> contexts_;
  RecentContexts history_;
  const Vec direct_;
  __mmask16 outside_ = 0;
  const std::int32_t* symbols_[kRows];
  std::int32_t scratch_[kTile];
  alignas(64) std::int32_t symbols_tile_[kRows][kTile];
  alignas(64) std::int32_t bases_tile_[kRows][kTile];
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
