/// Vectors of sixteen 32-bit numbers: what encoder and decoder share.
///
/// A vector of states covers 16 / kBlock rows of kBlock lanes (32 lanes: two vectors a row). The
/// symbols of these rows come and go as 16 of a row in one load, so they pass through a transposal
/// of blocks: vector r holds 16 symbols of row r, that is 16 / kBlock groups of kBlock lanes;
/// afterwards vector g holds group g of all the rows. The same transposal leads back.
#pragma once

// GCC 12 takes what its own intrinsics leave undefined on purpose for a mistake (its bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include <type_traits>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#include "cpu/task.h"
#include "torch_ans/config.h"
#include "torch_ans/views.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

using Vec = __m512i;
constexpr int kVecSize = 16;

TORCH_ANS_FN Vec splat(std::uint32_t value) {
  return _mm512_set1_epi32(static_cast<std::int32_t>(value));
}

/// {0, 1, .. 15}
TORCH_ANS_FN Vec iota() {
  return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

/// The lower and the upper eight elements, widened.
template <int kHalf>
TORCH_ANS_FN Vec widen(Vec v) {
  return _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(v, kHalf));
}

TORCH_ANS_FN Vec join(__m256i low, __m256i high) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/// Sixteen numbers of 64 bits.
struct Halves {
  Vec low;
  Vec high;
};

TORCH_ANS_FN Halves split(Vec first_eight, Vec last_eight) {
  const Vec even = _mm512_slli_epi32(iota(), 1);
  const Vec odd = _mm512_add_epi32(even, splat(1));
  return {_mm512_permutex2var_epi32(first_eight, even, last_eight),
          _mm512_permutex2var_epi32(first_eight, odd, last_eight)};
}

TORCH_ANS_FN Halves load_halves(const std::uint64_t* numbers) {
  return split(_mm512_loadu_si512(numbers), _mm512_loadu_si512(numbers + 8));
}

TORCH_ANS_FN void store_halves(std::uint64_t* numbers, Vec low, Vec high) {
  const Vec first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const Vec last = _mm512_add_epi32(first, splat(8));
  _mm512_storeu_si512(numbers, _mm512_permutex2var_epi32(low, first, high));
  _mm512_storeu_si512(numbers + 8, _mm512_permutex2var_epi32(low, last, high));
}

/// What follow each other in `even` and `odd` at the even and the odd places of 32 bits: of each
/// pair, the lower number of both and the upper one.
TORCH_ANS_FN Vec join_lower(Vec even, Vec odd) {
  return _mm512_mask_shuffle_epi32(even, 0xaaaa, odd, _MM_PERM_CCAA);
}
TORCH_ANS_FN Vec join_upper(Vec even, Vec odd) {
  return _mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_DDBB);
}

/// One mask of 16 from two of 8.
TORCH_ANS_FN __mmask16 join_masks(__mmask8 low, __mmask8 high) {
  return _mm512_kunpackb(high, low);
}

/// Quarter j of a, b, c, d goes to out[j * stride].
TORCH_ANS_FN void transpose_quarters(Vec a, Vec b, Vec c, Vec d, Vec* out, int stride) {
  const Vec even_ab = _mm512_shuffle_i32x4(a, b, 0x88);
  const Vec odd_ab = _mm512_shuffle_i32x4(a, b, 0xdd);
  const Vec even_cd = _mm512_shuffle_i32x4(c, d, 0x88);
  const Vec odd_cd = _mm512_shuffle_i32x4(c, d, 0xdd);
  out[0] = _mm512_shuffle_i32x4(even_ab, even_cd, 0x88);
  out[stride] = _mm512_shuffle_i32x4(odd_ab, odd_cd, 0x88);
  out[2 * stride] = _mm512_shuffle_i32x4(even_ab, even_cd, 0xdd);
  out[3 * stride] = _mm512_shuffle_i32x4(odd_ab, odd_cd, 0xdd);
}

/// 16 / kBlock vectors of 16 / kBlock blocks: block j of vector i becomes block i of vector j.
template <int kBlock>
TORCH_ANS_FN void transpose_blocks(Vec* v) {
  if constexpr (kBlock == 8) {
    const Vec first = _mm512_shuffle_i64x2(v[0], v[1], 0x44);
    v[1] = _mm512_shuffle_i64x2(v[0], v[1], 0xee);
    v[0] = first;
  } else if constexpr (kBlock == 4) {
    transpose_quarters(v[0], v[1], v[2], v[3], v, 1);
  } else if constexpr (kBlock == 2) {
    Vec low[4], high[4];
    TORCH_ANS_UNROLL
    for (int i = 0; i < 4; ++i) {
      low[i] = _mm512_unpacklo_epi64(v[2 * i], v[2 * i + 1]);
      high[i] = _mm512_unpackhi_epi64(v[2 * i], v[2 * i + 1]);
    }
    transpose_quarters(low[0], low[1], low[2], low[3], v, 2);
    transpose_quarters(high[0], high[1], high[2], high[3], v + 1, 2);
  } else if constexpr (kBlock == 1) {
    Vec column[4][4];  // [c][i]: columns 4 j + c of rows 4 i .. 4 i + 3 in quarter j
    TORCH_ANS_UNROLL
    for (int i = 0; i < 4; ++i) {
      const Vec low_01 = _mm512_unpacklo_epi32(v[4 * i], v[4 * i + 1]);
      const Vec high_01 = _mm512_unpackhi_epi32(v[4 * i], v[4 * i + 1]);
      const Vec low_23 = _mm512_unpacklo_epi32(v[4 * i + 2], v[4 * i + 3]);
      const Vec high_23 = _mm512_unpackhi_epi32(v[4 * i + 2], v[4 * i + 3]);
      column[0][i] = _mm512_unpacklo_epi64(low_01, low_23);
      column[1][i] = _mm512_unpackhi_epi64(low_01, low_23);
      column[2][i] = _mm512_unpacklo_epi64(high_01, high_23);
      column[3][i] = _mm512_unpackhi_epi64(high_01, high_23);
    }
    TORCH_ANS_UNROLL
    for (int c = 0; c < 4; ++c) {
      transpose_quarters(column[c][0], column[c][1], column[c][2], column[c][3], v + c, 4);
    }
  } else {
    static_assert(kBlock == 16, "one block is its own transposal");
  }
}

/// Turns the lanes of each block round: lane l sits where lane kBlock - 1 - l sat.
template <int kBlock>
TORCH_ANS_FN Vec reverse_blocks(Vec v) {
  if constexpr (kBlock == 1) {
    return v;
  } else if constexpr (kBlock == 2) {
    return _mm512_shuffle_epi32(v, _MM_PERM_CDAB);
  } else if constexpr (kBlock == 4) {
    return _mm512_shuffle_epi32(v, _MM_PERM_ABCD);
  } else {
    return _mm512_permutexvar_epi32(_mm512_xor_si512(iota(), splat(kBlock - 1)), v);
  }
}

/// How the tables' columns are read: one table; few enough for registers; any number.
enum class TableCount { kOne, kFew, kMany };
constexpr std::uint32_t kFewTables = 64;

/// Calls `run` with it as a constant.
template <typename Run>
TORCH_ANS_FN auto with_table_count(std::uint32_t num_tables, const Run& run) {
  if (num_tables == 1) return run(std::integral_constant<TableCount, TableCount::kOne>());
  if (num_tables <= kFewTables) return run(std::integral_constant<TableCount, TableCount::kFew>());
  return run(std::integral_constant<TableCount, TableCount::kMany>());
}

/// column[index] for 16 indexes. Where kFew, an index of 64 or more reads another entry.
template <TableCount kCount>
TORCH_ANS_FN Vec pick(const void* column, Vec index) {
  if constexpr (kCount == TableCount::kOne) {
    return splat(load<std::uint32_t>(column));
  } else if constexpr (kCount == TableCount::kFew) {
    const auto* quarters = static_cast<const Vec*>(column);
    const Vec low = _mm512_permutex2var_epi32(_mm512_loadu_si512(quarters), index,
                                              _mm512_loadu_si512(quarters + 1));
    const Vec high = _mm512_permutex2var_epi32(_mm512_loadu_si512(quarters + 2), index,
                                               _mm512_loadu_si512(quarters + 3));
    return _mm512_mask_mov_epi32(low, _mm512_test_epi32_mask(index, splat(32)), high);
  } else {
    return _mm512_i32gather_epi32(index, column, 4);
  }
}

/// Rows that are advanced together, and their tiles (row_encoder.h, row_decoder.h).
template <int kRows_>
struct VectorRows {
  static constexpr int kRows = kRows_;
  static constexpr int kTileSymbols = kRows >= 32 ? 256 : 512;
  /// Vectors are read and written whole at both ends of what is asked for.
  static constexpr int kTileStride = kTileSymbols + 48;
};

/// Which rows, lanes and vectors a kernel of `kVectors_` vectors advances together.
template <int kLanes, int kVectors_>
struct VectorShape : VectorRows<kVectors_ * kVecSize / kLanes> {
  static constexpr int kVectors = kVectors_;
  static constexpr int kBlock = kLanes < kVecSize ? kLanes : kVecSize;
  /// Rows of a vector, and groups among 16 symbols of a row.
  static constexpr int kChunk = kVecSize / kBlock;
  static constexpr int kRowVectors = kLanes > kVecSize ? kLanes / kVecSize : 1;
  static_assert(kVectors % kRowVectors == 0, "rows are whole");

  /// Row of a block, where in a row the symbols of vector v begin in `group`, and where in a tile.
  static constexpr int row(int v, int block) { return v / kRowVectors * kChunk + block; }
  static constexpr int in_row(int v, int group) {
    return group * kLanes + v % kRowVectors * kVecSize;
  }
  static constexpr int element(int v, int block, int group) {
    return row(v, block) * VectorShape::kTileStride + in_row(v, group);
  }
};

/// Offsets between the rows of a kernel, in bits too, are 32-bit numbers.
inline bool rows_are_near(const CodingTask& task) {
  return task.row_bytes < (std::int64_t{1} << 31) / 64;
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
