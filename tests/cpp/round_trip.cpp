/// Codes made-up symbols with every family, lane count and kind of table, checks that they come
/// back, and prints a checksum of each stream: the same on every machine.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "cpu/codec.h"
#include "torch_ans/bypass.h"
#include "torch_ans/stream_layout.h"
#include "torch_ans/tables.h"

namespace {

using namespace torch_ans;

constexpr int kTables = 5;
constexpr int kSizes[kTables] = {2, 3, 20, 90, 257};
constexpr int kWidth = 257;
constexpr std::int64_t kRows = 7;
constexpr std::int64_t kRowLength = 203;
constexpr std::int64_t kTotal = kRows * kRowLength - 31;  // the last row is short

/// The same numbers everywhere (Marsaglia, "Xorshift RNGs", 2003).
class Random {
 public:
  std::uint32_t below(std::uint32_t bound) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<std::uint32_t>((state_ >> 16) % bound);
  }

 private:
  std::uint64_t state_ = 88172645463325252u;
};

struct Data {
  std::vector<std::int32_t> cdfs = std::vector<std::int32_t>(kTables * kWidth);
  std::vector<std::int32_t> sizes{kSizes, kSizes + kTables};
  std::vector<std::int32_t> offsets = {0, -1, -10, 7, -128};
  std::vector<std::int32_t> symbols = std::vector<std::int32_t>(kRows * kRowLength);
  std::vector<std::int32_t> indexes = std::vector<std::int32_t>(kRows * kRowLength);
};

Data make_data(int precision, bool bypass, Random& random) {
  Data data;
  for (int k = 0; k < kTables; ++k) {
    std::int32_t* cdf = &data.cdfs[static_cast<std::size_t>(k) * kWidth];
    const int last = kSizes[k] - 1;
    for (int i = 1; i < last; ++i) {
      const int left = (1 << precision) - cdf[i - 1] - (last - i + 1);
      const int most = left / (last - i + 1) * 2 + 1;
      cdf[i] = cdf[i - 1] + 1 + static_cast<int>(random.below(static_cast<std::uint32_t>(most)));
    }
    cdf[last] = 1 << precision;
  }
  for (std::size_t i = 0; i < data.symbols.size(); ++i) {
    const std::uint32_t k = random.below(kTables);
    const int last = kSizes[k] - 1;
    const auto direct = static_cast<std::uint32_t>(bypass && last > 1 ? last - 1 : last);
    const bool escapes = bypass && (last == 1 || random.below(40) == 0);
    const auto v = escapes ? static_cast<int>(random.below(200000)) - 100000
                           : static_cast<int>(random.below(direct));
    data.indexes[i] = static_cast<std::int32_t>(k);
    data.symbols[i] = v + data.offsets[k];
  }
  return data;
}

IntArray rows_of(std::vector<std::int32_t>& values) {
  return {values.data(), IntType::kInt32, kRowLength, kRowLength, 1, kRowLength};
}

std::uint64_t checksum(const std::vector<std::uint8_t>& stream, std::int64_t row_bytes) {
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (std::int64_t row = 0; row < kRows; ++row) {
    const std::uint8_t* start = stream.data() + row * row_bytes;
    const std::int64_t length = kLengthBytes + load<std::int32_t>(start);
    for (std::int64_t i = 0; i < length; ++i) hash = (hash ^ start[i]) * 1099511628211u;
  }
  return hash;
}

void check(const FamilyInfo& family, int lanes, const TablesOptions& options, Random& random) {
  const Codec codec = make_codec(family.name, lanes);
  Data data = make_data(options.freq_precision, options.bypass_coding, random);
  const CodingTables tables(data.cdfs.data(), kTables, kWidth, data.sizes.data(),
                            data.offsets.data(), options);
  const std::int64_t row_bytes = 64 * kRowLength;
  std::vector<std::uint8_t> stream(static_cast<std::size_t>(kRows * row_bytes));
  init_stream(codec, stream.data(), kRows, row_bytes);

  CodingTask task{};
  task.tables = is_tans(codec.family)    ? tables.tans_view()
                : codec.state_bytes == 8 ? tables.view<std::uint64_t>()
                                         : tables.view<std::uint32_t>();
  task.word_bytes = codec.word_bytes;
  task.stream = stream.data();
  task.row_bytes = row_bytes;
  task.symbols = rows_of(data.symbols);
  task.indexes = rows_of(data.indexes);
  task.rows = kRows;
  task.row_length = kRowLength;
  task.total = kTotal;
  task.bypass_precision = 4;
  task.require_end = true;
  const bool coded = encode(codec, task, 1).status == Status::kOk;
  const std::uint64_t hash = checksum(stream, row_bytes);

  std::vector<std::int32_t> decoded(data.symbols.size());
  task.symbols = rows_of(decoded);
  const bool ok = coded && decode(codec, task, 1).status == Status::kOk;
  data.symbols.resize(kTotal);
  decoded.resize(kTotal);
  std::printf("%s i%d P%d bypass %d alias %d table %d: %016llx\n", family.name, lanes,
              options.freq_precision, options.bypass_coding, options.alias,
              options.inverse_cdf_precision, static_cast<unsigned long long>(hash));
  if (!ok || decoded != data.symbols) {
    std::printf("the symbols did not come back\n");
    std::exit(1);
  }
}

}  // namespace

int main() {
  Random random;
  for (const FamilyInfo& family : families()) {
    for (const int lanes : {1, 2, 4, 8, 16, 32}) {
      for (const int precision : {9, 12, family.max_freq_precision}) {
        if (precision > family.max_freq_precision || precision < 9) continue;  // tans8: too few
        for (const bool bypass : {false, true}) {
          check(family, lanes, {precision, bypass, false, TablesOptions::kAuto}, random);
          check(family, lanes, {precision, bypass, false, TablesOptions::kNone}, random);
          if (is_tans(family.family)) continue;  // it has no alias method
          check(family, lanes, {precision, bypass, true, TablesOptions::kAuto}, random);
        }
      }
    }
  }
  std::printf("all symbols came back\n");
}
