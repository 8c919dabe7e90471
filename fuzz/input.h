/// What a fuzzer's bytes mean: choices first, then a seed for everything that is long.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <vector>

#include "bindings/coding_call.h"
#include "cpu/codec.h"
#include "cpu/tiles.h"
#include "torch_ans/stream_layout.h"
#include "torch_ans/tables.h"

namespace fuzz {

/// A broken promise: libFuzzer reports it like a crash.
inline void require(bool holds) {
  if (!holds) __builtin_trap();
}

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : at_(data), end_(data + size) {}

  /// The next number; zeros once the bytes have run out.
  template <typename T>
  T take() {
    T value{};
    const auto left = static_cast<std::size_t>(end_ - at_);
    const std::size_t count = left < sizeof(T) ? left : sizeof(T);
    std::memcpy(&value, at_, count);
    at_ += count;
    return value;
  }

  std::uint32_t below(std::uint32_t limit) {
    return (limit <= 256 ? take<std::uint8_t>() : take<std::uint16_t>()) % limit;
  }

  bool chance(std::uint32_t one_in) { return below(one_in) == one_in - 1; }

  template <typename T>
  T pick(std::initializer_list<T> choices) {
    return choices.begin()[below(static_cast<std::uint32_t>(choices.size()))];
  }

  /// A generator for data that is too long for an input (xorshift64*; Vigna, 2016).
  std::uint64_t random() {
    if (state_ == 0) state_ = take<std::uint32_t>() | std::uint64_t{1} << 40;
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1dull;
  }

 private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
  std::uint64_t state_ = 0;
};

inline torch_ans::Codec any_codec(Input& input, std::initializer_list<const char*> families) {
  const char* family = input.pick(families);
  return torch_ans::make_codec(family, 1 << input.below(6));
}

inline torch_ans::Codec any_rans_codec(Input& input) {
  return any_codec(input, {"rans64", "rans32", "rans32_16"});
}

inline torch_ans::Codec any_codec(Input& input) {
  return any_codec(input, {"rans64", "rans32", "rans32_16", "tans32", "tans16", "tans8"});
}

/// Rows that are CDFs most of the time; else whatever the bytes are.
struct TableRows {
  std::vector<std::int32_t> cdfs, sizes, offsets;
  std::int64_t width = 0;
  torch_ans::TablesOptions options;

  static TableRows any(Input& input, int most_precision) {
    TableRows rows;
    // Large tables take long to build: most are small, some of each size are not.
    const std::uint32_t bits = input.chance(8) ? input.below(16) : input.below(8);
    rows.options.freq_precision = 1 + static_cast<int>(bits) % most_precision;
    rows.options.bypass_coding = input.chance(2);
    const std::uint32_t lookup = input.below(8);
    rows.options.alias = lookup == 0;
    rows.options.inverse_cdf_precision =
        lookup < 5 ? torch_ans::TablesOptions::kAuto
                   : static_cast<int>(input.below(17)) % (rows.options.freq_precision + 1);
    const std::uint32_t count = 1 + input.below(4);
    const bool dense = input.chance(bits < 10 ? 16 : 64);
    const std::int32_t total = 1 << rows.options.freq_precision;
    rows.width = dense ? total + 1 : 2 + input.below(input.chance(4) ? 70 : 12);
    for (std::uint32_t k = 0; k < count; ++k) rows.append(input, total, dense);
    if (input.chance(32)) rows.spoil(input);
    return rows;
  }

  std::shared_ptr<torch_ans::CodingTables> build() const {
    return std::make_shared<torch_ans::CodingTables>(cdfs.data(),
                                                     static_cast<std::int64_t>(sizes.size()), width,
                                                     sizes.data(), offsets.data(), options);
  }

 private:
  void append(Input& input, std::int32_t total, bool dense) {
    const auto most = static_cast<std::uint32_t>(width < total + 1 ? width : total + 1);
    const auto size =
        static_cast<std::int32_t>(dense ? most : 2 + input.below(most > 2 ? most - 1 : 1));
    const int steepness = static_cast<int>(input.below(5));
    std::int32_t last = 0;
    for (std::int32_t i = 0; i < width; ++i) {
      if (i > 0) {
        const std::int32_t left = total - last - (size - 1 - i);
        std::int32_t step = 1;
        if (left > 1) {
          step += static_cast<std::int32_t>(input.random() % static_cast<std::uint32_t>(left)) >>
                  (2 * steepness);
        }
        last = i == size - 1 ? total : last + step;
      }
      // Behind its size a row may hold anything.
      cdfs.push_back(i < size ? last : static_cast<std::int32_t>(input.random()));
    }
    sizes.push_back(size);
    const std::int32_t wide = 1 << 30;
    offsets.push_back(input.pick({0, 0, -3, 100, -128, 40000, -wide, wide}));
  }

  void spoil(Input& input) {
    std::vector<std::int32_t>& victim = *input.pick({&cdfs, &sizes, &offsets});
    victim[input.random() % victim.size()] = input.take<std::int32_t>();
  }
};

inline std::shared_ptr<torch_ans::CodingTables> any_tables(Input& input,
                                                           const torch_ans::Codec& codec) {
  TableRows rows = TableRows::any(input, codec.max_freq_precision);
  rows.options.alias &= !is_tans(codec.family);
  try {
    return rows.build();
  } catch (const std::invalid_argument&) {
    return nullptr;
  }
}

/// Integers in memory of exactly the size that they need, so that ASan sees every step outside.
class Integers {
 public:
  Integers(torch_ans::IntType type, std::int64_t rows, std::int64_t row_length)
      : size_(element_size(type)),
        data_(static_cast<std::size_t>(rows * row_length) * size_),
        array_{data_.data(), type, row_length, 0, 1, row_length > 0 ? row_length : 1} {}

  static std::size_t element_size(torch_ans::IntType type) {
    constexpr std::size_t kSizes[] = {1, 1, 2, 2, 4, 8};
    return kSizes[static_cast<int>(type)];
  }

  /// One element a channel, read through two strides: `inner` symbols share it.
  void expand(std::int64_t inner) { array_ = {data_.data(), array_.type, 0, 1, 0, inner}; }

  void set(std::int64_t i, std::int64_t value) {
    std::memcpy(data_.data() + static_cast<std::size_t>(i) * size_, &value, size_);
  }

  const torch_ans::IntArray& array() const { return array_; }
  std::int64_t get(std::int64_t row, std::int64_t position) const {
    return torch_ans::load_element(array_, row, position);
  }

 private:
  std::size_t size_;
  std::vector<std::uint8_t> data_;
  torch_ans::IntArray array_;
};

inline torch_ans::IntType any_type(Input& input) {
  return static_cast<torch_ans::IntType>(input.below(6));
}

/// Rows, their symbols, and tables to code them with.
struct Shape {
  std::int64_t rows, row_length, total;

  static Shape any(Input& input) {
    const std::int64_t rows = input.chance(4) ? input.below(40) : input.below(6);
    std::int64_t length = input.chance(8) ? input.below(1200) : input.below(40);
    if (rows * length > 3000) length = 3000 / rows;
    std::int64_t total = rows * length;
    if (total > 0 && input.chance(6)) total -= input.below(300) % total;
    return {rows, length, total};
  }
};

/// Integers below `limit`, but for a few: indexes, say.
inline std::unique_ptr<Integers> any_choices(Input& input, const Shape& shape,
                                             std::uint32_t limit) {
  auto choices = std::make_unique<Integers>(any_type(input), shape.rows, shape.row_length);
  for (std::int64_t i = 0; i < shape.rows * shape.row_length; ++i) {
    choices->set(i, static_cast<std::int64_t>(input.random() % limit));
  }
  if (shape.total > 0 && input.chance(16)) {
    choices->set(
        static_cast<std::int64_t>(input.random() % static_cast<std::uint64_t>(shape.total)),
        input.take<std::int64_t>());
  }
  if (shape.total == shape.rows * shape.row_length && input.chance(8)) {
    choices->expand(1 + input.below(40));
  }
  return choices;
}

/// Tables that follow the symbols. What callers promise holds: entries name tables, and offsets
/// reach back as far as there are lanes.
struct Contexts {
  std::vector<std::int32_t> tables;
  std::unique_ptr<Integers> sets;
  torch_ans::ContextTask task{};

  Contexts(Input& input, const torch_ans::Codec& codec, const Shape& shape,
           std::uint32_t num_tables) {
    task.num_sets = 1 + input.below(3);
    task.num_indexes = 1 + input.below(3);
    task.order = static_cast<std::int32_t>(1 + input.below(3));
    std::size_t size = std::size_t{task.num_sets} * task.num_indexes;
    for (int k = 0; k < 3; ++k) {
      const bool used = k < task.order;
      task.sizes[k] = static_cast<std::int32_t>(used ? 1 + input.below(9) : 1);
      task.offsets[k] = used ? codec.lanes + static_cast<std::int64_t>(input.below(50)) : 1;
      size *= static_cast<std::size_t>(task.sizes[k]);
    }
    tables.resize(size);
    for (std::int32_t& table : tables) {
      table = static_cast<std::int32_t>(input.random() % num_tables);
    }
    task.tables = tables.data();
    if (task.num_sets > 1 || input.chance(2)) {
      sets = any_choices(input, shape, task.num_sets);
      task.sets = sets->array();
    }
  }
};

/// All that a call of the engine needs, but for the stream: codec, tables, indexes, contexts.
struct Call {
  torch_ans::Codec codec;
  std::shared_ptr<torch_ans::CodingTables> tables;  ///< null: the bytes name none
  Shape shape;
  std::unique_ptr<Contexts> contexts;
  std::unique_ptr<Integers> indexes;
  int bypass_precision;

  explicit Call(Input& input) : codec(any_codec(input)), tables(any_tables(input, codec)) {
    if (tables == nullptr) return;
    shape = Shape::any(input);
    auto choices = static_cast<std::uint32_t>(tables->num_tables());
    if (input.chance(4)) {
      contexts = std::make_unique<Contexts>(input, codec, shape, choices);
      choices = contexts->task.num_indexes;
    }
    if (choices != 1 || input.chance(2)) indexes = any_choices(input, shape, choices);
    bypass_precision = 1 + static_cast<int>(input.below(16)) % codec.max_freq_precision;
  }

  torch_ans::CodingTask task(const Integers& symbols) const {
    return torch_ans::make_task(
        {codec, *tables, shape.rows, shape.row_length, shape.total, bypass_precision},
        symbols.array(), indexes == nullptr ? nullptr : &indexes->array(),
        contexts == nullptr ? nullptr : &contexts->task);
  }
};

/// A stream whose memory ends where its last row does.
class Stream {
 public:
  Stream(const torch_ans::Codec& codec, std::int64_t rows, std::int64_t row_bytes)
      : codec_(codec),
        rows_(rows),
        row_bytes_(row_bytes),
        data_(static_cast<std::size_t>(rows * row_bytes)) {}

  std::uint8_t* row(std::int64_t r) { return data_.data() + r * row_bytes_; }
  std::vector<std::uint8_t>& bytes() { return data_; }

  /// Anything: rows that could be an encoder's, rows that are nearly so, and noise.
  void forge(Input& input, int freq_precision) {
    for (std::uint8_t& byte : data_) byte = static_cast<std::uint8_t>(input.random() >> 33);
    const std::int64_t header = codec_.header_bytes();
    const std::int64_t room = row_bytes_ - torch_ans::kLengthBytes - header;
    for (std::int64_t r = 0; r < rows_; ++r) {
      if (room < 0 || input.random() % 8 == 0) continue;
      const auto words = static_cast<std::int64_t>(
          input.random() % static_cast<std::uint64_t>(room / codec_.word_bytes + 1));
      auto length = static_cast<std::int32_t>(header + words * codec_.word_bytes);
      if (input.random() % 16 == 0) length += static_cast<std::int32_t>(input.random() % 9) - 4;
      torch_ans::store(row(r), length);
      for (int lane = 0; lane < codec_.lanes; ++lane) {
        set_state(r, lane, forge_state(input, freq_precision));
      }
      if (!is_tans(codec_.family)) continue;
      set_state(r, codec_.lanes, input.random());  // the bits that fill no word, and their number
      set_state(r, codec_.lanes + 1, input.random() % static_cast<unsigned>(8 * codec_.word_bytes));
    }
  }

  /// As well-formed rows look once a call has read and written them: tANS gives a fresh row's
  /// states a value, and clears what lies above the bits that fill no word.
  std::vector<std::uint8_t> settled(int freq_precision) const {
    Stream copy = *this;
    if (!is_tans(codec_.family) || row_bytes_ < torch_ans::kLengthBytes + codec_.header_bytes()) {
      return copy.data_;
    }
    for (std::int64_t r = 0; r < rows_; ++r) {
      for (int lane = 0; lane < codec_.lanes; ++lane) {
        if (copy.state(r, lane) == 0) copy.set_state(r, lane, std::uint64_t{1} << freq_precision);
      }
      const std::uint32_t count = copy.state(r, codec_.lanes + 1) % 32;
      copy.set_state(r, codec_.lanes, copy.state(r, codec_.lanes) & ((1u << count) - 1));
    }
    return copy.data_;
  }

 private:
  std::uint64_t forge_state(Input& input, int freq_precision) const {
    if (input.random() % 256 == 0) return input.random();
    const bool tans = is_tans(codec_.family);
    const std::uint64_t low = tans ? std::uint64_t{1} << freq_precision : codec_.lower_bound;
    const std::uint64_t past = tans ? 2 * low : low << (8 * codec_.word_bytes);
    if (input.random() % 4 == 0) return tans ? 0 : low;  // as a fresh row has it
    return low + input.random() % (past - low);
  }

  std::uint32_t state(std::int64_t r, int number) {
    return torch_ans::load<std::uint32_t>(row(r) + torch_ans::kLengthBytes +
                                          number * codec_.state_bytes);
  }

  void set_state(std::int64_t r, int number, std::uint64_t x) {
    std::memcpy(row(r) + torch_ans::kLengthBytes + number * codec_.state_bytes, &x,
                static_cast<std::size_t>(codec_.state_bytes));
  }

  torch_ans::Codec codec_;
  std::int64_t rows_;
  std::int64_t row_bytes_;
  std::vector<std::uint8_t> data_;
};

/// Whether the parts of rows that mean something are the same; malformed rows count whole.
inline bool same_rows(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b,
                      std::int64_t row_bytes) {
  for (std::size_t start = 0; start < a.size(); start += static_cast<std::size_t>(row_bytes)) {
    const std::int64_t length = torch_ans::load<std::int32_t>(a.data() + start);
    const std::int64_t used = length < 0 || length > row_bytes - 4 ? row_bytes : 4 + length;
    if (std::memcmp(a.data() + start, b.data() + start, static_cast<std::size_t>(used)) != 0) {
      return false;
    }
  }
  return true;
}

}  // namespace fuzz
