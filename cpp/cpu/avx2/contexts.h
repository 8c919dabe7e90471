/// The tables of eight symbols at once, where they follow from those before them.
#pragma once

#include "cpu/context_index.h"
#include "find.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// One context of each of eight symbols: rows of kBlock lanes each.
template <int kRows, int kBlock>
class VectorContext {
 public:
  VectorContext() = default;

  VectorContext(std::int64_t offset, std::int32_t size)
      : before_(offset), most_(_mm256_set1_epi32(size - 1)) {
    const int rest = before_.rest;
    alignas(16) std::int16_t from_near[8], from_far[8];
    for (int e = 0; e < 8; ++e) {
      const bool is_far = e % kBlock < rest;
      from_near[e] = is_far ? kZero : bytes_of(e - rest);
      from_far[e] = is_far ? bytes_of(e - rest + kBlock) : kZero;
    }
    from_near_ = _mm_load_si128(reinterpret_cast<const __m128i*>(from_near));
    from_far_ = _mm_load_si128(reinterpret_cast<const __m128i*>(from_far));
  }

  /// Of the eight symbols whose own contexts will stand at `place`.
  TORCH_ANS_FN __m256i find(const std::uint16_t* place) const {
    __m128i found = load(place - before_.near_block);
    if (kBlock > 1 && before_.rest != 0) {  // whole blocks, as most offsets are, need no shuffles
      found = _mm_or_si128(_mm_shuffle_epi8(found, from_near_),
                           _mm_shuffle_epi8(load(place - before_.far_block), from_far_));
    }
    return _mm256_min_epu32(_mm256_cvtepu16_epi32(found), most_);
  }

 private:
  static constexpr std::int16_t kZero = -1;  ///< as a shuffle sees it

  /// Where a shuffle finds the two bytes of element e.
  static std::int16_t bytes_of(int e) { return static_cast<std::int16_t>(0x202 * e + 0x100); }

  static TORCH_ANS_FN __m128i load(const std::uint16_t* place) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(place));
  }

  BlocksBefore<kRows, kBlock> before_;
  __m256i most_;
  __m128i from_near_;
  __m128i from_far_;
};

/// All contexts of eight symbols, and what follows from them.
template <int kRows, int kBlock>
class VectorContexts {
 public:
  explicit VectorContexts(const FollowingTile<kRows, kBlock>& tile)
      : order_(tile.history.index().task().order),
        tables_(tile.history.index().task().tables),
        entry_shifts_(tile.context_shifts),
        table_shifts_(tile.tables.log_bucket_shifts),
        offsets_(tile.one_offset ? nullptr : tile.tables.offsets),
        offset_(_mm256_set1_epi32(tile.tables.offsets[0])) {
    const ContextTask& task = tile.history.index().task();
    for (int k = 0; k < order_; ++k) {
      contexts_[k] = VectorContext<kRows, kBlock>(task.offsets[k], task.sizes[k]);
      sizes_[k] = task.sizes[k];
    }
  }

  /// Where in ContextTask::tables the tables stand; `base` as in ContextIndex.
  TORCH_ANS_FN __m256i entries(__m256i base, const std::uint16_t* place) const {
    __m256i at = contexts_[0].find(place);
    if (order_ > 1) at = append(at, 1, place);
    if (order_ > 2) at = append(at, 2, place);
    return _mm256_add_epi32(base, at);
  }

  TORCH_ANS_FN __m256i tables(__m256i entries) const { return load_eight(tables_, entries); }

  /// As in TablesView::decoder_columns.
  TORCH_ANS_FN __m256i bucket_shifts(__m256i entries) const {
    return entry_shifts_ != nullptr ? load_eight(entry_shifts_, entries)
                                    : load_eight(table_shifts_, tables(entries));
  }

  bool have_one_offset() const { return offsets_ == nullptr; }
  TORCH_ANS_FN __m256i offset() const { return offset_; }  ///< where they have one

  TORCH_ANS_FN __m256i offsets(__m256i entries) const {
    return have_one_offset() ? offset_ : load_eight(offsets_, tables(entries));
  }

  /// `symbols` count from their tables' first.
  static TORCH_ANS_FN void found(std::uint16_t* place, __m256i symbols) {
    const __m256i next = _mm256_sub_epi32(symbols, _mm256_set1_epi32(-1));
    const __m128i contexts =
        _mm_packus_epi32(_mm256_castsi256_si128(next), _mm256_extracti128_si256(next, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(place), contexts);
  }

 private:
  TORCH_ANS_FN __m256i append(__m256i at, int k, const std::uint16_t* place) const {
    return _mm256_add_epi32(_mm256_mullo_epi32(at, _mm256_set1_epi32(sizes_[k])),
                            contexts_[k].find(place));
  }

  std::int32_t order_;
  std::int32_t sizes_[3] = {};
  const std::int32_t* tables_;
  const std::uint32_t* entry_shifts_;
  const std::uint32_t* table_shifts_;
  const std::int32_t* offsets_;  ///< null: all tables have that of the first
  __m256i offset_;
  VectorContext<kRows, kBlock> contexts_[3] = {};
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
