/// Tables that follow the symbols, in their own words: what the kernels must agree with.
#pragma once

#include <algorithm>
#include <memory>

#include "check.h"
#include "host_task.h"
#include "scalar_coder.h"

namespace torch_ans {

/// `tables[set, index, c_1, ..]`; without offsets an index names a table.
struct ContextCase {
  std::int64_t num_sets = 1;
  std::int64_t num_indexes = 1;
  std::vector<std::int64_t> sizes, offsets;
  std::vector<std::int32_t> tables;
  int order() const { return static_cast<int>(offsets.size()); }
};

inline ContextCase make_context_case(Random& random, int lanes, std::int64_t num_tables) {
  ContextCase c;
  c.num_sets = random.between(1, 2);
  c.num_indexes = random.between(1, 3);
  std::int64_t count = c.num_sets * c.num_indexes;
  for (std::int64_t k = random.between(1, 3); k > 0; --k) {
    c.sizes.push_back(random.between(1, 9));
    count *= c.sizes.back();
    const std::int64_t steps = random.between(1, 4);
    c.offsets.push_back(lanes * steps + (random.chance(0.4) ? random.between(0, 2 * lanes) : 0));
  }
  for (; count > 0; --count) {
    c.tables.push_back(static_cast<std::int32_t>(random.between(0, num_tables - 1)));
  }
  return c;
}

/// A row's symbols, indexes and sets by position, and the offsets of tables.
struct ContextRow {
  Sequence symbols, indexes, sets, table_offsets;
};

/// The table of each symbol, asked for in any order but never before symbols that it follows.
inline Sequence follow_symbols(const ContextCase& c, const ContextRow& row) {
  auto known = std::make_shared<std::vector<std::int64_t>>();
  return [&c, row, known](std::int64_t i) {
    while (static_cast<std::int64_t>(known->size()) <= i) {
      const auto at = static_cast<std::int64_t>(known->size());
      std::int64_t place = row.sets(at) * c.num_indexes + row.indexes(at);
      for (std::size_t k = 0; k < c.offsets.size(); ++k) {
        const std::int64_t before = at - c.offsets[k];
        __extension__ __int128 context = 0;
        if (before >= 0) {
          const std::int64_t table = (*known)[static_cast<std::size_t>(before)];
          context = row.symbols(before);
          context += 1 - row.table_offsets(table);
        }
        context = std::max<__int128>(0, std::min<__int128>(context, c.sizes[k] - 1));
        place = place * c.sizes[k] + static_cast<std::int64_t>(context);
      }
      known->push_back(c.tables[static_cast<std::size_t>(place)]);
    }
    return (*known)[static_cast<std::size_t>(i)];
  };
}

inline gpu::HostContexts host_contexts(const ContextCase& c, std::int64_t row_length) {
  gpu::HostContexts contexts{};
  contexts.tables = c.tables.data();
  contexts.num_sets = static_cast<std::uint32_t>(c.num_sets);
  contexts.num_indexes = static_cast<std::uint32_t>(c.num_indexes);
  contexts.order = c.order();
  for (std::size_t k = 0; k < c.offsets.size(); ++k) {
    contexts.sizes[k] = static_cast<std::int32_t>(c.sizes[k]);
    // As the Python side does: what lies before every row needs no more than its length.
    contexts.offsets[k] = std::min(c.offsets[k], std::max<std::int64_t>(row_length, 1));
  }
  return contexts;
}

}  // namespace torch_ans
