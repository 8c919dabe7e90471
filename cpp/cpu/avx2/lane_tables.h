/// Where the tables of rows of several lanes come from, eight lanes in a vector.
#pragma once

#include "find.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Eight elements of a few rows: kBlock of each, from `first` on.
template <int kBlock, typename T>
struct EightPlaces {
  T* const* rows;
  int first;

  TORCH_ANS_FN T& operator[](int e) const { return rows[e / kBlock][first + e % kBlock]; }
};

/// The first four of eight elements, or, from `first` = 4 on, the last.
template <int kBlock>
TORCH_ANS_FN __m128i load_half(const EightPlaces<kBlock, const std::int32_t>& places, int first) {
  const auto* front = reinterpret_cast<const __m128i*>(&places[first]);
  if constexpr (kBlock >= 4) return _mm_loadu_si128(front);
  const __m128 low = _mm_castsi128_ps(_mm_loadl_epi64(front));
  return _mm_castps_si128(_mm_loadh_pi(low, reinterpret_cast<const __m64*>(&places[first + 2])));
}

template <int kBlock>
TORCH_ANS_FN __m256i load_blocks(const EightPlaces<kBlock, const std::int32_t>& places) {
  return _mm256_set_m128i(load_half(places, 4), load_half(places, 0));
}

/// What a VectorDecoder asks of its source of tables, here where there is one table. A vector is
/// named by its first row and by where in the tile its lanes stand.
template <bool kPacked_>
class OneLanesTable {
 public:
  static constexpr bool kPacked = kPacked_;  ///< slots tell all by themselves
  static constexpr bool kReadsIndexes = false;

  explicit OneLanesTable(const TablesView& tables)
      : columns_(load_decoder_columns(tables, kFirst)) {}

  TORCH_ANS_FN DecoderColumns columns(int /*row*/, int /*t*/) const { return columns_; }

  /// A function from a lane of a vector to its table. (By value: what it referred to would go by
  /// memory.)
  static TORCH_ANS_FN auto index_of(int /*row*/, int /*t*/) {
    return [](int) { return 0; };
  }

  /// Takes the symbols that were found, counted from their tables' first.
  TORCH_ANS_FN void found(int /*row*/, int /*t*/, __m256i /*symbols*/) const {}

 private:
  static constexpr std::int32_t kFirst[8] = {};
  DecoderColumns columns_;
};

/// Indexes name them.
template <int kBlock>
class NamedLanesTables {
 public:
  static constexpr bool kPacked = false;
  static constexpr bool kReadsIndexes = true;

  NamedLanesTables(const TablesView& tables, const std::int32_t* const* indexes)
      : tables_(tables), indexes_(indexes) {}

  TORCH_ANS_FN DecoderColumns columns(int row, int t) const {
    return load_decoder_columns(tables_, places(row, t));
  }

  TORCH_ANS_FN auto index_of(int row, int t) const {
    return [of = places(row, t)](int e) { return of[e]; };
  }

  TORCH_ANS_FN void found(int /*row*/, int /*t*/, __m256i /*symbols*/) const {}

 private:
  TORCH_ANS_FN EightPlaces<kBlock, const std::int32_t> places(int row, int t) const {
    return {indexes_ + row, t};
  }

  const TablesView tables_;
  const std::int32_t* const* indexes_;
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
