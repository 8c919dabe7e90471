#include "codec.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <stdexcept>

#include "contexts.h"
#include "kernels.h"
#include "latents.h"
#include "parallel.h"
#include "tiles.h"
#include "torch_ans/bypass.h"
#include "torch_ans/stream_layout.h"
#include "torch_ans/tans.h"

namespace torch_ans {
namespace {

template <typename Traits>
FamilyInfo describe(const char* name, Family family) {
  return {name,
          family,
          static_cast<int>(sizeof(typename Traits::State)),
          static_cast<int>(sizeof(typename Traits::Word)),
          Traits::kLowerBound,
          Traits::kMaxFreqPrecision};
}

FamilyInfo describe_tans(const char* name, Family family, int word_bytes, int max_precision) {
  return {name, family, 4, word_bytes, 0, max_precision};
}

constexpr int kLanes[kLaneCounts] = {1, 2, 4, 8, 16, 32};

/// Waking a thread costs as much as coding this many symbols.
constexpr std::int64_t kSymbolsPerThread = 1 << 14;

int useful_threads(const CodingTask& task, int threads) {
  const std::int64_t useful = 1 + task.total / kSymbolsPerThread;
  return static_cast<int>(std::max<std::int64_t>(1, std::min<std::int64_t>(threads, useful)));
}

/// The first kernel from `choice` on that takes the task and at most `rows` rows. Every list ends
/// with one that takes any single row.
const KernelChoice* choose(const KernelChoice* choice, const CodingTask& task, std::int64_t rows) {
  while (choice->rows > rows || !choice->accepts(task)) ++choice;
  return choice;
}

/// Rows [first, first + kernel.rows).
struct Batch {
  std::int64_t first;
  const KernelChoice* kernel;
};

/// How many rows may share batches: the full ones, and the next one if little is missing there.
/// What the others have more is coded symbol by symbol, which takes about kSlower times as long.
std::int64_t count_alike_rows(const CodingTask& task) {
  constexpr std::int64_t kSlower = 8;
  if (task.row_length == 0 || task.total >= task.rows * task.row_length) return task.rows;
  const std::int64_t full = task.total / task.row_length;
  const std::int64_t missing = task.row_length - symbols_in_row(task, full);
  return missing * kSlower <= task.row_length ? full + 1 : full;
}

/// Cuts the rows into batches of such rows, and single ones.
std::vector<Batch> make_batches(const KernelChoice* choices, const CodingTask& task, int threads) {
  std::vector<Batch> batches;
  const std::int64_t alike_rows = count_alike_rows(task);
  // Wide kernels are faster, as long as every thread gets work.
  const std::int64_t share = std::max<std::int64_t>(1, (alike_rows + threads - 1) / threads);
  const KernelChoice* kernel = choose(choices, task, share);
  for (std::int64_t row = 0; row < task.rows;) {
    const std::int64_t left = row < alike_rows ? alike_rows - row : 1;
    kernel = choose(kernel, task, left);
    batches.push_back({row, kernel});
    row += kernel->rows;
  }
  return batches;
}

class Run {
 public:
  Run(const Codec& codec, const CodingTask& task)
      : codec_(codec),
        task_(task),
        results_(static_cast<std::size_t>(task.rows), RowResult{Status::kOk, 0, nullptr}),
        headers_(new std::uint8_t[static_cast<std::size_t>(task.rows * codec.header_bytes())]) {
    task_.headers = headers_.get();
  }

  void execute(const KernelChoice* choices, int most_threads) {
    const int threads = useful_threads(task_, most_threads);
    const std::vector<Batch> batches = make_batches(choices, task_, threads);
    parallel_for(static_cast<std::int64_t>(batches.size()), threads, [&](std::int64_t i) {
      const Batch& batch = batches[static_cast<std::size_t>(i)];
      batch.kernel->run(task_, batch.first, results_.data() + batch.first);
    });
  }

  /// The lowest row that complains of an argument, else all broken rows, else any full one.
  Outcome outcome() const {
    Outcome outcome{Status::kOk, -1, -1, {}};
    for (std::int64_t row = 0; row < task_.rows; ++row) {
      const RowResult& result = results_[static_cast<std::size_t>(row)];
      if (result.status == Status::kBadIndex || result.status == Status::kBadSymbol) {
        return {result.status, row, result.position, {}};
      }
      if (result.status == Status::kCorrupt) outcome.broken_rows.push_back(row);
      if (result.status != Status::kOk && outcome.status != Status::kCorrupt) {
        outcome.status = result.status;
        outcome.row = row;
      }
    }
    return outcome;
  }

  void commit() const {
    const auto header = static_cast<std::size_t>(codec_.header_bytes());
    for (std::int64_t row = 0; row < task_.rows; ++row) {
      std::uint8_t* start = row_start(row);
      const std::uint8_t* end = results_[static_cast<std::size_t>(row)].end;
      store(start, static_cast<std::int32_t>(end - start - kLengthBytes));
      std::memcpy(start + kLengthBytes, headers_.get() + static_cast<std::size_t>(row) * header,
                  header);
    }
  }

  /// Zeroes what a failed push has stored behind the rows' bytes.
  void clear_traces() const {
    constexpr std::ptrdiff_t kStoredPastEnd = 64;
    for (std::int64_t row = 0; row < task_.rows; ++row) {
      const RowResult& result = results_[static_cast<std::size_t>(row)];
      if (result.end == nullptr) continue;
      std::uint8_t* start = row_start(row);
      std::uint8_t* old_end = start + kLengthBytes + load<std::int32_t>(start);
      std::uint8_t* row_end = start + task_.row_bytes;
      const auto touched = std::min(result.end - old_end + kStoredPastEnd, row_end - old_end);
      std::memset(old_end, 0, static_cast<std::size_t>(touched));
    }
  }

 private:
  std::uint8_t* row_start(std::int64_t row) const { return task_.stream + row * task_.row_bytes; }

  const Codec& codec_;
  CodingTask task_;
  std::vector<RowResult> results_;
  std::unique_ptr<std::uint8_t[]> headers_;
};

const CodecKernels& kernels_of(const Codec& codec) {
  return active_kernels()[static_cast<int>(codec.family)][codec.lanes_log2()];
}

/// No row can be well formed where a header does not fit.
bool rows_too_narrow(const Codec& codec, const CodingTask& task) {
  return task.rows > 0 && task.row_bytes < kLengthBytes + codec.header_bytes();
}

Outcome all_rows_corrupt(std::int64_t rows) {
  Outcome outcome{Status::kCorrupt, 0, -1, {}};
  for (std::int64_t row = 0; row < rows; ++row) outcome.broken_rows.push_back(row);
  return outcome;
}

void find_functions(CodingTask& task) {
  if (task.model == nullptr) return;
  const Model& model = *task.model;
  task.functions = &active_models()[static_cast<int>(model.kind)][static_cast<int>(model.type)];
  if (task.functions->find_slots == nullptr) {
    throw std::invalid_argument("there is no such model with values of this type");
  }
  task.tables.freq_precision = model.freq_precision;
}

/// The range of an integer type.
std::pair<std::int64_t, std::int64_t> range_of(IntType type) {
  std::pair<std::int64_t, std::int64_t> range;
  with_type(type, [&](auto sample) {
    using T = decltype(sample);
    range = {std::numeric_limits<T>::min(), std::numeric_limits<T>::max()};
  });
  return range;
}

/// The table of a symbol, which may be none.
std::int64_t index_of(const CodingTask& task, std::int64_t row, std::int64_t position) {
  if (task.ids != nullptr) {
    return table_of_id(task.tables, task.ids[element_of(task, row, position)] & ~kOutsideTable);
  }
  return task.indexes.data == nullptr ? 0 : load_element(task.indexes, row, position);
}

}  // namespace

int Codec::lanes_log2() const { return bit_width(static_cast<std::uint64_t>(lanes)) - 1; }

const std::vector<FamilyInfo>& families() {
  static const std::vector<FamilyInfo> infos = {
      describe<Rans64>("rans64", Family::kRans64),
      describe<Rans32>("rans32", Family::kRans32),
      describe<Rans32x16>("rans32_16", Family::kRans32x16),
      describe_tans("tans32", Family::kTans32, 2, kTansMaxFreqPrecision),
      describe_tans("tans16", Family::kTans16, 1, kTansMaxFreqPrecision),
      describe_tans("tans8", Family::kTans8, 1, 7),
  };
  return infos;
}

Codec make_codec(const std::string& family, int lanes) {
  std::string names;
  for (const FamilyInfo& info : families()) {
    if (family == info.name) {
      if (std::find(std::begin(kLanes), std::end(kLanes), lanes) == std::end(kLanes)) {
        throw std::invalid_argument("lanes must be one of 1, 2, 4, 8, 16, 32, got " +
                                    std::to_string(lanes));
      }
      return {info.name,
              info.family,
              lanes,
              info.state_bytes,
              info.word_bytes,
              info.lower_bound,
              info.max_freq_precision};
    }
    names += (names.empty() ? "" : ", ") + std::string(info.name);
  }
  throw std::invalid_argument("family must be one of " + names + ", got '" + family + "'");
}

void init_stream(const Codec& codec, std::uint8_t* stream, std::int64_t rows,
                 std::int64_t row_bytes) {
  const auto state_bytes = static_cast<std::size_t>(codec.state_bytes);
  for (std::int64_t row = 0; row < rows; ++row) {
    std::uint8_t* start = stream + row * row_bytes;
    store(start, static_cast<std::int32_t>(codec.header_bytes()));
    std::memset(start + kLengthBytes, 0, static_cast<std::size_t>(codec.header_bytes()));
    for (int lane = 0; lane < codec.lanes; ++lane) {
      std::memcpy(start + kLengthBytes + static_cast<std::size_t>(lane) * state_bytes,
                  &codec.lower_bound, state_bytes);
    }
  }
}

Outcome encode(const Codec& codec, CodingTask task, int threads) {
  if (rows_too_narrow(codec, task)) return all_rows_corrupt(task.rows);
  find_functions(task);
  task.one_offset = have_one_offset(task.tables);
  FollowedIds followed;
  if (task.contexts != nullptr && !task.one_offset) {
    const auto bad = followed.find(task, active_id_kernels(), useful_threads(task, threads));
    if (bad.status != Status::kOk) return {bad.status, bad.row, bad.position, {}};
  }
  const EntryTables by_entry(task);
  const bool prepared = task.tables.records != nullptr || is_tans(codec.family);
  const EncodeModel model = task.model != nullptr            ? EncodeModel::kModel
                            : task.tables.aliases != nullptr ? EncodeModel::kAlias
                            : prepared                       ? EncodeModel::kRecords
                                                             : EncodeModel::kDivision;
  Run run(codec, task);
  run.execute(kernels_of(codec).encode[static_cast<int>(model)], threads);
  Outcome outcome = run.outcome();
  if (outcome.status == Status::kOk) {
    run.commit();
  } else {
    run.clear_traces();
  }
  return outcome;
}

Outcome decode(const Codec& codec, CodingTask task, int threads) {
  if (rows_too_narrow(codec, task)) return all_rows_corrupt(task.rows);
  find_functions(task);
  const bool prepared = task.tables.buckets != nullptr || is_tans(codec.family);
  const Lookup lookup = task.model != nullptr            ? Lookup::kModel
                        : task.contexts != nullptr       ? Lookup::kFollowing
                        : task.tables.aliases != nullptr ? Lookup::kAlias
                        : prepared                       ? Lookup::kInverseCdf
                                                         : Lookup::kBinarySearch;
  const auto [lowest, highest] = range_of(task.symbols.type);
  task.symbols_fit = true;
  task.one_offset = have_one_offset(task.tables);
  for (std::uint32_t k = 0; k < task.tables.num_tables; ++k) {
    const std::int64_t first = task.tables.offsets[k];
    const std::int64_t past = first + task.tables.limits[k];
    task.symbols_fit &= first >= lowest && past - 1 <= highest;
  }
  if (task.model != nullptr) {
    const std::int64_t last = task.model->low + std::int64_t{task.model->num_symbols} - 1;
    task.symbols_fit = task.model->low >= lowest && last <= highest;
  }
  const ContextHistory history(task);
  Run run(codec, task);
  run.execute(kernels_of(codec).decode[static_cast<int>(lookup)], threads);
  Outcome outcome = run.outcome();
  if (outcome.status == Status::kOk) run.commit();
  return outcome;
}

std::int64_t max_escape_bytes(CodingTask task) {
  FollowedIds followed;
  if (task.contexts != nullptr &&
      followed.find(task, active_id_kernels(), 1).status != Status::kOk) {
    return kMaxEscapeBytes;  // the push will tell
  }
  std::int64_t most_bits = 0;
  for (std::int64_t row = 0; row < task.rows; ++row) {
    std::int64_t bits = 0;
    const std::int64_t present = symbols_in_row(task, row);
    for (std::int64_t i = 0; i < present; ++i) {
      const std::int64_t index = index_of(task, row, i);
      if (index < 0 || index >= task.tables.num_tables) continue;
      const TableInfo& info = task.tables.info[index];
      const auto v = static_cast<std::int64_t>(
          static_cast<std::uint64_t>(load_symbol(task, row, i)) -
          static_cast<std::uint64_t>(static_cast<std::int64_t>(info.offset)));
      if (v >= 0 && v < info.last) continue;
      bits += escape_bits(zigzag(v, info.last), task.bypass_precision);
    }
    most_bits = std::max(most_bits, bits);
  }
  return (most_bits + 7) / 8 + kMaxEscapeBytes;
}

}  // namespace torch_ans
