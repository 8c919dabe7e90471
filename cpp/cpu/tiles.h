/// The front and the back end of the coder's loops: symbols and indexes of any integer type go in
/// and out through tiles of 32-bit values, checked and widened on the way.
#pragma once

#include "task.h"
#include "torch_ans/int_types.h"
#include "torch_ans/select.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

TORCH_ANS_FN std::size_t size_of(IntType type) {
  std::size_t size = 0;
  with_type(type, [&](auto sample) { size = sizeof(sample); });
  return size;
}

/// Splits elements [first, first + count) of a row into runs of one stride and calls
/// `body(element offset, stride, run length, position in the tile)`.
template <typename Body>
TORCH_ANS_FN void for_each_run(const IntArray& array, std::int64_t row, std::int64_t first,
                               int count, const Body& body) {
  int done = 0;
  std::int64_t outer = first < array.inner_size ? 0 : first / array.inner_size;
  std::int64_t inner = first - outer * array.inner_size;
  while (done < count) {
    const auto run =
        static_cast<int>(smaller<std::int64_t>(count - done, array.inner_size - inner));
    body(row * array.row_stride + outer * array.outer_stride + inner * array.inner_stride,
         array.inner_stride, run, done);
    done += run;
    ++outer;
    inner = 0;
  }
}

/// Elements [first, first + count) of a row in the array itself, if they are of type T, which
/// `type` names, and side by side.
template <typename T>
TORCH_ANS_FN T* find_typed(const IntArray& array, IntType type, std::int64_t row,
                           std::int64_t first, int count) {
  const bool fits =
      array.type == type && array.inner_stride == 1 && first + count <= array.inner_size;
  return fits ? static_cast<T*>(array.data) + row * array.row_stride + first : nullptr;
}

inline std::int32_t* find_in_place(const IntArray& array, std::int64_t row, std::int64_t first,
                                   int count) {
  return find_typed<std::int32_t>(array, IntType::kInt32, row, first, count);
}

inline std::uint8_t* find_bytes(const IntArray& array, std::int64_t row, std::int64_t first,
                                int count) {
  return find_typed<std::uint8_t>(array, IntType::kUint8, row, first, count);
}

/// Elements [first, first + count) of a row as int32: the array itself where it can be read in
/// place, else `tile`.
inline const std::int32_t* load_tile(const IntArray& array, std::int64_t row, std::int64_t first,
                                     int count, std::int32_t* tile) {
  const std::int32_t* place = find_in_place(array, row, first, count);
  if (place != nullptr) return place;
  with_type(array.type, [&](auto sample) {
    using T = decltype(sample);
    const T* data = static_cast<const T*>(array.data);
    for_each_run(array, row, first, count,
                 [&](std::int64_t offset, std::int64_t stride, int run, int done) {
                   const T* source = data + offset;
                   std::int32_t* target = tile + done;
                   if (stride == 1) {
                     for (int t = 0; t < run; ++t) target[t] = to_int32(source[t]);
                   } else if (stride == 0) {
                     const std::int32_t value = to_int32(source[0]);
                     for (int t = 0; t < run; ++t) target[t] = value;
                   } else {
                     for (int t = 0; t < run; ++t) {
                       target[t] = to_int32(source[t * stride]);
                     }
                   }
                 });
  });
  return tile;
}

/// Asks, by `kPrefetch`, for elements [first, first + count) of a row, which the caller will load
/// before long: tiles of several rows, from last to first, are no stream that a CPU sees through.
template <void (*kPrefetch)(const void*)>
TORCH_ANS_FN void prefetch_tile(const IntArray& array, std::int64_t row, std::int64_t first,
                                int count) {
  constexpr int kLine = 64;
  if (array.data == nullptr || array.inner_stride != 1 || count <= 0 ||
      first + count > array.inner_size) {
    return;
  }
  const auto size = static_cast<std::int64_t>(size_of(array.type));
  const auto* begin =
      static_cast<const std::uint8_t*>(array.data) + (row * array.row_stride + first) * size;
  for (std::int64_t byte = 0; byte < count * size; byte += kLine) kPrefetch(begin + byte);
}

/// A tile's symbols and indexes (null: there is one table), and those of the tile to come.
struct TileSource {
  const std::int32_t* symbols;
  const std::int32_t* indexes;
  std::int64_t ahead;  ///< elements from one tile to the next, to be prefetched; 0: none

  /// What stands where element t does. For loops that take a cache line a turn: asking for all of
  /// a tile at once fills the CPU's queue of misses.
  TORCH_ANS_FN void prefetch_next(int t) const {
    prefetch_l2(symbols + t - ahead);
    if (indexes != nullptr) prefetch_l2(indexes + t - ahead);
  }
};

/// In place of a TileSource: asks for nothing.
struct NothingAhead {
  TORCH_ANS_FN void prefetch_next(int /*t*/) const {}
};

/// Rows that are decoded together: where they are, and a tile of each. Lane l of group g of row r
/// is element g * kLanes + l of indexes[r] and symbols[r].
template <typename State>
struct TileRows {
  State* states;                       ///< row by row
  const std::uint8_t** in;             ///< cursors, which move down
  const std::int32_t* const* indexes;  ///< null: there is one table
  std::int32_t* const* symbols;
};

/// One element, at full width.
inline std::int64_t load_element(const IntArray& array, std::int64_t row, std::int64_t position) {
  std::int64_t value = 0;
  with_type(array.type, [&](auto sample) {
    using T = decltype(sample);
    for_each_run(array, row, position, 1, [&](std::int64_t offset, std::int64_t, int, int) {
      value = static_cast<const T*>(array.data)[offset];
    });
  });
  return value;
}

/// Writes a tile of decoded symbols. False: one of them does not fit the array's type.
inline bool store_tile(const IntArray& array, std::int64_t row, std::int64_t first, int count,
                       const std::int32_t* tile, bool all_fit) {
  bool fits = true;
  with_type(array.type, [&](auto sample) {
    using T = decltype(sample);
    T* data = static_cast<T*>(array.data);
    for_each_run(array, row, first, count,
                 [&](std::int64_t offset, std::int64_t stride, int run, int done) {
                   T* target = data + offset;
                   const std::int32_t* source = tile + done;
                   if (stride == 1) {
                     for (int t = 0; t < run; ++t) {
                       target[t] = static_cast<T>(source[t]);
                     }
                   } else {
                     for (int t = 0; t < run; ++t) {
                       target[t * stride] = static_cast<T>(source[t]);
                     }
                   }
                   if (all_fit) return;
                   for (int t = 0; t < run; ++t) {
                     fits &= static_cast<T>(source[t]) == source[t];
                   }
                 });
  });
  return fits;
}

/// Writes one symbol of any size. False: it does not fit the array's type.
inline bool store_element(const IntArray& array, std::int64_t row, std::int64_t position,
                          std::int64_t value) {
  bool fits = true;
  with_type(array.type, [&](auto sample) {
    using T = decltype(sample);
    fits = static_cast<T>(value) == value;
    for_each_run(array, row, position, 1, [&](std::int64_t offset, std::int64_t, int, int) {
      static_cast<T*>(array.data)[offset] = static_cast<T>(value);
    });
  });
  return fits;
}

/// Whether an index names a table, for all of a tile.
inline bool all_name_tables(const std::int32_t* indexes, int count, std::uint32_t num_tables) {
  if constexpr (!kChecked) return true;
  std::uint32_t bad = 0;
  for (int t = 0; t < count; ++t) {
    bad |= static_cast<std::uint32_t>(static_cast<std::uint32_t>(indexes[t]) >= num_tables);
  }
  return bad == 0;
}

/// What `make_ids` found in a tile.
struct IdFlags {
  bool bad_index;
  bool outside;  ///< a symbol outside its table: an escape, or an error without bypass
};

/// Ids that were found ahead; asks for those `ahead` elements before.
inline IdFlags take_ids(const std::uint32_t* found, std::int64_t ahead, int count,
                        std::uint32_t* ids) {
  constexpr int kLineIds = 16;
  for (int t = 0; t < ahead; t += kLineIds) prefetch(found + t - ahead);
  std::uint32_t outside = 0;
  for (int t = 0; t < count; ++t) {
    outside |= found[t];
    ids[t] = found[t] & ~kOutsideTable;
  }
  return {false, (outside & kOutsideTable) != 0};
}

/// The table that an id belongs to.
inline std::uint32_t table_of_id(const TablesView& tables, std::uint32_t id) {
  std::uint32_t table = 0;
  for (std::uint32_t count = tables.num_tables; count > 1;) {
    const std::uint32_t half = count / 2;
    if (tables.info[table + half].base <= id) table += half;
    count -= half;
  }
  return table;
}

/// Whether all of a few symbols are coded directly by the only table.
template <typename Symbol>
TORCH_ANS_FN bool are_in_table(const TablesView& tables, const Symbol* symbols, int count) {
  const std::int64_t first = tables.offsets[0];
  const std::int64_t past = first + tables.limits[0];
  Symbol lowest = symbols[0], highest = symbols[0];
  for (int t = 0; t < count; ++t) {
    lowest = smaller(lowest, symbols[t]);
    highest = larger(highest, symbols[t]);
  }
  return lowest >= first && highest < past;
}

/// ids[t] = base of the symbol's table + symbol, the sentinel's for a symbol outside the table.
/// With a bad index no ids are made; where `outside` is set they still name existing records.
inline IdFlags make_ids(const TablesView& tables, const std::int32_t* symbols,
                        const std::int32_t* indexes, int count, std::uint32_t* ids) {
  if (indexes == nullptr) {
    std::uint32_t outside = 0;
    const std::uint32_t limit = tables.limits[0];
    const std::uint32_t last = tables.info[0].last;
    const auto offset = static_cast<std::uint32_t>(tables.offsets[0]);
    for (int t = 0; t < count; ++t) {
      const std::uint32_t v = static_cast<std::uint32_t>(symbols[t]) - offset;
      outside |= static_cast<std::uint32_t>(v >= limit);
      ids[t] = v < limit ? v : last;
    }
    return {false, outside != 0};
  }
  if (!all_name_tables(indexes, count, tables.num_tables)) return {true, false};
  const std::uint64_t direct = tables.bypass_coding ? 0 : 1;
  std::uint64_t too_high = 0;
  for (int t = 0; t < count; ++t) {
    const TableInfo& info = tables.info[static_cast<std::uint32_t>(indexes[t])];
    const std::uint32_t v =
        static_cast<std::uint32_t>(symbols[t]) - static_cast<std::uint32_t>(info.offset);
    const std::uint32_t last = info.last;
    too_high |= last + direct - 1 - v;  // negative from last + direct on
    ids[t] = info.base + select_below(v, last, v, last);
  }
  return {false, too_high >> 63 != 0};
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
