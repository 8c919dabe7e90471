/// Cases of the coder's tests: tables, symbols and what the kernels are told of them.
#pragma once

#include <algorithm>
#include <cstring>

#include "check.h"
#include "context_case.h"
#include "host_image.h"
#include "host_task.h"
#include "scalar_coder.h"

namespace torch_ans {

struct Case {
  std::string name;
  TablesOptions options;
  bool staged;
  std::vector<std::int32_t> cdfs, sizes, offsets;
  std::int64_t num_tables, width;
  std::int64_t rows, row_length, total;
  int bypass_precision;
  IntType symbol_type, index_type;
  bool with_indexes;
  bool expanded;  ///< one index a column of 5 symbols, the same for all rows
  double escapes;
  ContextCase contexts;

  /// An index is below this.
  std::int64_t num_indexes() const {
    return contexts.order() > 0 ? contexts.num_indexes : num_tables;
  }
};

inline std::size_t bytes_of(IntType type) {
  switch (type) {
    case IntType::kUint8:
    case IntType::kInt8:
      return 1;
    case IntType::kUint16:
    case IntType::kInt16:
      return 2;
    case IntType::kInt32:
      return 4;
    default:
      return 8;
  }
}

/// An integer tensor of its own.
class Tensor {
 public:
  Tensor(IntType type, std::int64_t size)
      : type_(type), bytes_(static_cast<std::size_t>(size + 1) * bytes_of(type)) {}
  void set(std::int64_t i, std::int64_t value) {
    std::memcpy(&bytes_[static_cast<std::size_t>(i) * bytes_of(type_)], &value, bytes_of(type_));
  }
  std::int64_t get(std::int64_t i) const {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &bytes_[static_cast<std::size_t>(i) * bytes_of(type_)], bytes_of(type_));
    const bool is_signed = type_ != IntType::kUint8 && type_ != IntType::kUint16;
    const auto spare = static_cast<int>(64 - 8 * bytes_of(type_));
    return is_signed ? static_cast<std::int64_t>(bits << spare) >> spare
                     : static_cast<std::int64_t>(bits);
  }
  void* data() { return bytes_.data(); }
  IntType type() const { return type_; }

 private:
  IntType type_;
  std::vector<std::uint8_t> bytes_;
};

/// The case's symbols or indexes as the engine is told of them.
inline IntArray array_of(const Case& c, Tensor& tensor, bool expanded = false) {
  if (expanded) return {tensor.data(), tensor.type(), 0, 1, 0, 5};
  return {
      tensor.data(), tensor.type(), c.row_length, 0, 1, std::max<std::int64_t>(c.row_length, 1)};
}

/// A table of `size` CDF entries, any frequencies above 0, and an offset near 0.
inline void add_table(Case& c, std::int64_t size, Random& random) {
  std::vector<std::int64_t> freqs(static_cast<std::size_t>(size - 1), 1);
  std::int64_t left = (std::int64_t{1} << c.options.freq_precision) - (size - 1);
  for (std::int64_t i = 0; i + 1 < size && left > 0; ++i) {
    const std::int64_t more =
        i + 2 == size ? left : random.between(0, std::min(left, 4 * left / size));
    freqs[static_cast<std::size_t>(i)] += more;
    left -= more;
  }
  c.cdfs.resize(c.cdfs.size() + static_cast<std::size_t>(c.width));
  std::int32_t* row = c.cdfs.data() + c.cdfs.size() - c.width;
  for (std::int64_t i = 0; i + 1 < size; ++i) {
    row[i + 1] = row[i] + static_cast<std::int32_t>(freqs[static_cast<std::size_t>(i)]);
  }
  c.sizes.push_back(static_cast<std::int32_t>(size));
  c.offsets.push_back(static_cast<std::int32_t>(random.between(-20, 20)));
}

inline Case make_case(Random& random, int max_precision, int lanes, int lookup) {
  Case c{};
  c.options.freq_precision =
      static_cast<int>(random.between(std::max(1, max_precision - 6), max_precision));
  c.options.bypass_coding = random.chance(0.6);
  c.options.alias = lookup == 2;
  c.options.inverse_cdf_precision =
      lookup == 1 ? TablesOptions::kNone
      : lookup == 2
          ? TablesOptions::kAuto
          : static_cast<int>(random.chance(0.5) ? TablesOptions::kAuto
                                                : random.between(1, c.options.freq_precision));
  c.staged = random.chance(0.5);
  c.num_tables = random.pick(std::vector<std::int64_t>{1, 1, 3, 7});
  c.width = random.pick(std::vector<std::int64_t>{3, 20, 200});
  for (std::int64_t k = 0; k < c.num_tables; ++k) {
    const std::int64_t most = std::min(c.width, (std::int64_t{1} << c.options.freq_precision) + 1);
    add_table(c, random.chance(0.2) ? 2 : random.between(2, most), random);
  }
  c.rows = random.between(1, lanes >= 16 ? 3 : 9);
  c.row_length =
      random.chance(0.3) ? random.between(0, 9) : random.between(0, lanes == 32 ? 700 : 70 * lanes);
  c.total = c.rows * c.row_length;
  if (random.chance(0.3)) c.total = random.between(0, c.total);
  c.bypass_precision = static_cast<int>(random.between(1, random.chance(0.5) ? 4 : max_precision));
  const std::vector<IntType> types = {IntType::kUint8, IntType::kInt8,  IntType::kUint16,
                                      IntType::kInt16, IntType::kInt32, IntType::kInt64};
  c.symbol_type = random.chance(0.5) ? IntType::kInt64 : random.pick(types);
  if (!c.options.bypass_coding) {  // every symbol of every table fits
    c.symbol_type = random.pick(std::vector<IntType>(types.begin() + 3, types.end()));
  }
  c.index_type = random.pick(types);
  c.with_indexes = c.num_tables > 1 || random.chance(0.5);
  c.expanded = random.chance(0.3) && c.total == c.rows * c.row_length && c.row_length % 5 == 0;
  c.escapes = random.pick(std::vector<double>{0.0, 0.01, 0.3});
  return c;
}

/// Makes it one that plain kernels take (plain_case.h).
inline void make_plain(Case& c, Random& random) {
  c.staged = true;
  c.expanded = false;
  if (random.chance(0.2)) {  // more than a ring holds
    c.row_length = random.between(2000, 4000);
    c.rows = 2;
    c.total = c.rows * c.row_length;
    if (c.escapes > 0) c.escapes = random.pick(std::vector<double>{0.0005, 0.01});
  }
  c.index_type = c.symbol_type = IntType::kInt32;
  if (c.num_tables > 1) return;
  c.with_indexes = random.chance(0.2);
  if (c.with_indexes || random.chance(0.4)) return;
  c.symbol_type = IntType::kUint8;
  c.offsets[0] = std::abs(c.offsets[0]);
  if (!c.options.bypass_coding || random.chance(0.4)) return;
  if (c.options.freq_precision > 8 && random.chance(0.5)) {  // all bytes have a symbol
    c.width = 258;
    c.cdfs.clear();
    c.sizes.clear();
    c.offsets.clear();
    add_table(c, 258, random);
    c.offsets[0] = 0;
    return;
  }
  // To 255, which may be an escape's symbol or the last before it.
  c.offsets[0] = static_cast<std::int32_t>(random.between(257, 258)) - c.sizes[0];
}

/// What a case codes: symbols that their tables can code, or escapes of any size.
struct Operands {
  Tensor symbols;
  Tensor indexes;
  Tensor sets;
  std::vector<std::int64_t> tables;  ///< of each symbol
  const Case& c;

  std::int64_t set(std::int64_t row, std::int64_t i) const {
    return c.contexts.num_sets > 1 ? sets.get(row * c.row_length + i) : 0;
  }

  std::int64_t index(std::int64_t row, std::int64_t i) const {
    if (!c.with_indexes) return 0;
    return c.expanded ? indexes.get(i / 5) : indexes.get(row * c.row_length + i);
  }
};

/// The tables of a row whose symbols are `symbols` as far as they are asked for.
inline Sequence tables_of_row(const Operands& operands, std::int64_t row, const Sequence& symbols) {
  const Case& c = operands.c;
  const Sequence indexes = [&operands, row](std::int64_t i) { return operands.index(row, i); };
  if (c.contexts.order() == 0) return indexes;
  const Sequence sets = [&operands, row](std::int64_t i) { return operands.set(row, i); };
  const Sequence offsets = [&c](std::int64_t k) { return c.offsets[static_cast<std::size_t>(k)]; };
  return follow_symbols(c.contexts, {symbols, indexes, sets, offsets});
}

inline Operands make_operands(const Case& c, Random& random) {
  Operands operands{Tensor(c.symbol_type, c.total),
                    Tensor(c.index_type, c.total),
                    Tensor(IntType::kUint8, c.total),
                    {},
                    c};
  for (std::int64_t i = 0; i < c.total; ++i) {
    operands.indexes.set(i, random.between(0, c.num_indexes() - 1));
    operands.sets.set(i, random.between(0, c.contexts.num_sets - 1));
  }
  Sequence tables;
  for (std::int64_t i = 0; i < c.total; ++i) {
    const std::int64_t row = i / c.row_length;
    if (i % c.row_length == 0) {
      tables = tables_of_row(operands, row, [&operands, row](std::int64_t at) {
        return operands.symbols.get(row * operands.c.row_length + at);
      });
    }
    operands.tables.push_back(tables(i % c.row_length));
    const auto k = static_cast<std::size_t>(operands.tables.back());
    const std::int64_t count = c.sizes[k] - (c.options.bypass_coding ? 2 : 1);
    std::int64_t symbol = c.offsets[k] + (count > 0 ? random.between(0, count - 1) : 0);
    if (c.options.bypass_coding && random.chance(c.escapes)) {
      symbol = random.chance(0.2) ? random.between(INT64_MIN / 2, INT64_MAX / 2) * 2
                                  : random.between(-300, 300);
    }
    operands.symbols.set(i, symbol);  // what the type makes of it
  }
  return operands;
}

}  // namespace torch_ans
