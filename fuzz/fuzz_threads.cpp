/// Many threads encode and decode with one table object, whose encoder records and tANS tables are
/// built on first use, each over rows of its own: what Python threads do, and what the engine's
/// OpenMP loop does inside a call. For ThreadSanitizer, which cannot see through libgomp's own
/// synchronisation: built without OpenMP, so that every thread here is a std::thread. Prints
/// nothing unless a race is found; the exit status is 1 where symbols come back wrong.
#include <algorithm>
#include <thread>

#include "input.h"

namespace {

constexpr int kThreads = 8;
constexpr std::int64_t kRows = 24;  // enough for the widest kernel and some behind it
constexpr std::int64_t kLength = 700;

/// Encodes and decodes in rows of its own with tables that all threads share.
bool round_trip(const torch_ans::Codec& codec, const torch_ans::CodingTables& tables,
                std::uint32_t seed) {
  fuzz::Input input(reinterpret_cast<const std::uint8_t*>(&seed), sizeof(seed));
  const fuzz::Shape shape{kRows, kLength, kRows * kLength};
  fuzz::Integers symbols(torch_ans::IntType::kInt32, kRows, kLength);
  fuzz::Integers indexes(torch_ans::IntType::kUint8, kRows, kLength);
  torch_ans::CodingTask task = torch_ans::make_task({codec, tables, kRows, kLength, shape.total, 4},
                                                    symbols.array(), &indexes.array());
  for (std::int64_t i = 0; i < shape.total; ++i) {
    const auto table = static_cast<std::uint32_t>(input.random() % task.tables.num_tables);
    const std::uint32_t last = task.tables.info[table].last;
    symbols.set(
        i, task.tables.info[table].offset + static_cast<std::int64_t>(input.random() % (last + 1)));
    indexes.set(i, table);
  }
  const std::int64_t row_bytes = 4 * (kLength + 200);
  fuzz::Stream stream(codec, kRows, row_bytes);
  torch_ans::init_stream(codec, stream.bytes().data(), kRows, row_bytes);
  task.stream = stream.bytes().data();
  task.row_bytes = row_bytes;
  if (torch_ans::encode(codec, task, 1).status != torch_ans::Status::kOk) return false;
  fuzz::Integers decoded(torch_ans::IntType::kInt32, kRows, kLength);
  task.symbols = decoded.array();
  task.require_end = true;
  if (torch_ans::decode(codec, task, 1).status != torch_ans::Status::kOk) return false;
  for (std::int64_t i = 0; i < shape.total; ++i) {
    if (symbols.get(i / kLength, i % kLength) != decoded.get(i / kLength, i % kLength)) {
      return false;
    }
  }
  return true;
}

/// Tables whose first has two symbols at least.
std::shared_ptr<torch_ans::CodingTables> make_tables(std::uint32_t seed, int most_precision,
                                                     bool alias) {
  for (;;) {
    std::uint8_t bytes[256];
    for (std::uint8_t& byte : bytes) {
      seed = seed * 1664525 + 1013904223;  // Knuth
      byte = static_cast<std::uint8_t>(seed >> 24);
    }
    fuzz::Input input(bytes, sizeof(bytes));
    fuzz::TableRows rows = fuzz::TableRows::any(input, most_precision);
    rows.options.alias = alias;
    try {
      if (rows.sizes[0] > 2) return rows.build();
    } catch (const std::invalid_argument&) {  // a few are made wrong
    }
  }
}

bool share(const char* family, int lanes, bool alias, std::uint32_t seed) {
  const torch_ans::Codec codec = torch_ans::make_codec(family, lanes);
  const auto tables = make_tables(seed, std::min(codec.max_freq_precision, 12), alias);
  bool good[kThreads] = {};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back(
        [&, t] { good[t] = round_trip(codec, *tables, seed + static_cast<std::uint32_t>(t)); });
  }
  bool all = true;
  for (int t = 0; t < kThreads; ++t) {
    threads[static_cast<std::size_t>(t)].join();
    all &= good[t];
  }
  return all;
}

}  // namespace

int main() {
  bool good = true;
  std::uint32_t seed = 0x9e3779b9;
  for (const torch_ans::FamilyInfo& family : torch_ans::families()) {
    for (int lanes = 1; lanes <= 32; lanes *= 2) {
      good &= share(family.name, lanes, false, seed += 97);
      if (!is_tans(family.family)) good &= share(family.name, lanes, true, seed += 97);
    }
  }
  return good ? 0 : 1;
}
