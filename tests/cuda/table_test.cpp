/// Checking CDFs and making tables of them on the twin, against CodingTables.
///
/// usage: table_test [seeds]
#include <algorithm>
#include <cstring>

#include "check.h"
#include "host_image.h"
#include "table_kernels.h"

namespace torch_ans {
namespace {

constexpr gpu::ImageKind kKinds[] = {{false, 4}, {false, 8}, {true, 4}};

/// Tables of any size: CDFs, and what stands behind their ends.
struct Rows {
  TablesOptions options;
  std::int64_t num_tables;
  std::int64_t width;
  std::vector<std::int32_t> cdfs, sizes, offsets;

  TableSource source() const {
    return {cdfs.data(), num_tables, width, sizes.data(), offsets.data(), options.freq_precision};
  }
  CodingTables build() const {
    return {cdfs.data(), num_tables, width, sizes.data(), offsets.data(), options};
  }
};

/// Random counts, at least 1 each, of 2^precision slots.
void fill_row(Random& random, std::int32_t* row, std::int64_t size, int precision) {
  const std::int64_t slots = std::int64_t{1} << precision;
  std::vector<std::int64_t> cuts(static_cast<std::size_t>(slots - 1));
  for (std::size_t i = 0; i < cuts.size(); ++i) cuts[i] = static_cast<std::int64_t>(i) + 1;
  const bool bunched = random.chance(0.3);  // most symbols at one end: buckets with many of them
  for (std::int64_t i = 0; i + 2 < size; ++i) {
    const std::int64_t last =
        bunched ? std::min(slots - 2, i + size / 4) : static_cast<std::int64_t>(cuts.size()) - 1;
    std::swap(cuts[static_cast<std::size_t>(i)],
              cuts[static_cast<std::size_t>(random.between(i, std::max(i, last)))]);
  }
  std::sort(cuts.begin(), cuts.begin() + (size - 2));
  row[0] = 0;
  for (std::int64_t i = 0; i + 2 < size; ++i) {
    row[i + 1] = static_cast<std::int32_t>(cuts[static_cast<std::size_t>(i)]);
  }
  row[size - 1] = static_cast<std::int32_t>(slots);
}

Rows make_rows(Random& random) {
  Rows rows{};
  TablesOptions& options = rows.options;
  options.freq_precision = static_cast<int>(random.between(1, random.chance(0.2) ? 16 : 11));
  options.bypass_coding = random.chance(0.5);
  options.alias = random.chance(0.3);
  options.inverse_cdf_precision =
      random.chance(0.5)
          ? TablesOptions::kAuto
          : static_cast<int>(random.between(TablesOptions::kNone, options.freq_precision));
  rows.num_tables = random.pick(std::vector<std::int64_t>{0, 1, 2, 5, 9, 70});
  const std::int64_t slots = std::int64_t{1} << options.freq_precision;
  rows.width = random.pick(std::vector<std::int64_t>{2, 3, 40, 300, slots + 1, slots + 7});
  if (rows.num_tables * std::max(rows.width, slots) > 100000) rows.num_tables = 1;
  for (std::int64_t k = 0; k < rows.num_tables; ++k) {
    std::vector<std::int32_t> row(static_cast<std::size_t>(rows.width));
    for (std::int32_t& entry : row) entry = static_cast<std::int32_t>(random.between(-9, 9));
    const std::int64_t most = std::min(rows.width, slots + 1);
    const std::int64_t size = random.chance(0.2)   ? 2
                              : random.chance(0.2) ? most
                                                   : random.between(2, most);
    fill_row(random, row.data(), size, options.freq_precision);
    rows.cdfs.insert(rows.cdfs.end(), row.begin(), row.end());
    rows.sizes.push_back(static_cast<std::int32_t>(size));
    rows.offsets.push_back(static_cast<std::int32_t>(random.between(-300, 300)));
  }
  if (random.chance(0.3)) std::fill(rows.offsets.begin(), rows.offsets.end(), -7);
  return rows;
}

/// The two kernels of a plan, and the one that fills an image.
struct Planned {
  std::vector<TableInfo> infos;
  gpu::DeviceTables tables;
};

Planned plan(const Rows& rows, Random& random, std::int64_t max_buckets) {
  Planned planned{std::vector<TableInfo>(static_cast<std::size_t>(rows.num_tables)),
                  {rows.options, rows.num_tables, {}}};
  gpu::PlanTask task =
      gpu::plan_task(rows.source(), rows.options, planned.infos.data(), &planned.tables.summary);
  task.max_buckets = max_buckets;
  const unsigned threads = 32 * static_cast<unsigned>(random.between(1, 3));
  launch({static_cast<unsigned>(random.between(1, 4)), threads, gpu::kBlockSumBytes}, random,
         "count tables", [&] { gpu::count_tables_kernel(task); });
  launch({1, threads, gpu::kBlockSumBytes}, random, "place tables",
         [&] { gpu::place_tables_kernel(task); });
  return planned;
}

/// Bytes of an image, aligned to 16.
using Image = std::vector<gpu::Record<std::uint64_t>>;

Image make_image(std::size_t bytes, int fill) {
  Image image(bytes / 16 + 1);
  std::memset(static_cast<void*>(image.data()), fill, 16 * image.size());
  return image;
}

std::uint8_t* bytes_of(Image& image) { return reinterpret_cast<std::uint8_t*>(image.data()); }

Image fill(const Rows& rows, const Planned& planned, const gpu::ImageKind& kind, Random& random) {
  const std::size_t end = gpu::image_layout(planned.tables, kind).end;
  Image image = make_image(end, 0);
  std::memset(bytes_of(image) + end, 0xee, 16);
  const gpu::FillTask task = gpu::fill_task(planned.tables, rows.cdfs.data(), rows.width,
                                            planned.infos.data(), kind, bytes_of(image));
  launch({static_cast<unsigned>(random.between(1, 4)),
          32 * static_cast<unsigned>(random.between(1, 3)), 0},
         random, "fill tables", [&] { gpu::fill_tables_kernel(task); });
  return image;
}

void test_images(Random& random) {
  Rows rows = make_rows(random);
  std::int64_t max_buckets = static_cast<std::int64_t>(kMaxBuckets);
  Planned planned = plan(rows, random, max_buckets);
  if (planned.tables.summary.num_buckets > 0 && !rows.options.alias && random.chance(0.1)) {
    max_buckets = planned.tables.summary.num_buckets - 1;
    planned = plan(rows, random, max_buckets);
    rows.options.inverse_cdf_precision = TablesOptions::kNone;
  }
  const CodingTables tables = rows.build();
  const gpu::DeviceTables expected = device_tables(tables);
  check(std::memcmp(&planned.tables.summary, &expected.summary, sizeof(expected.summary)) == 0,
        "the summary of tables");
  for (const gpu::ImageKind& kind : kKinds) {
    if (kind.tans && (rows.options.alias || rows.options.freq_precision > kTansMaxFreqPrecision)) {
      continue;
    }
    const std::size_t end = gpu::image_layout(expected, kind).end;
    Image image = fill(rows, planned, kind, random);
    Image wanted = make_image(end, 0xee);
    write_host_image(tables, kind, bytes_of(wanted));
    for (std::size_t b = 0; b < end; ++b) {
      check(bytes_of(image)[b] == bytes_of(wanted)[b],
            "byte " + std::to_string(b) + " of an image of " + std::to_string(end));
    }
    check(bytes_of(image)[end] == 0xee, "bytes behind an image");
  }
}

/// One rule broken, or several: the fault is the one that CodingTables names.
void test_faults(Random& random) {
  Rows rows = make_rows(random);
  if (rows.num_tables == 0) return;
  for (std::int64_t n = random.between(1, 2); n > 0; --n) {
    const std::int64_t k = random.between(0, rows.num_tables - 1);
    const auto at = static_cast<std::size_t>(k);
    const std::int64_t size = std::max<std::int64_t>(1, rows.sizes[at]);
    std::int32_t& entry = rows.cdfs[static_cast<std::size_t>(
        k * rows.width + random.between(0, std::min(size, rows.width) - 1))];
    switch (random.between(0, 3)) {
      case 0:
        entry = static_cast<std::int32_t>(
            random.pick(std::vector<std::int64_t>{INT32_MIN, -1, 0, 1, entry - 1, entry + 1,
                                                  1 << rows.options.freq_precision, INT32_MAX}));
        break;
      case 1:
        rows.sizes[at] = static_cast<std::int32_t>(
            random.pick(std::vector<std::int64_t>{INT32_MIN, -1, 0, 1, rows.width + 1, INT32_MAX}));
        break;
      case 2:
        rows.offsets[at] = random.chance(0.5) ? kMaxOffset + 1 : INT32_MIN;
        break;
      default:
        rows.sizes[at] -= rows.sizes[at] > 2 ? 1 : 0;
        break;
    }
  }
  std::string expected;
  try {
    rows.build();
  } catch (const std::invalid_argument& error) {
    expected = error.what();
  }
  const Planned planned = plan(rows, random, static_cast<std::int64_t>(kMaxBuckets));
  const gpu::TablesSummary& summary = planned.tables.summary;
  const std::string found =
      summary.bad_table < 0
          ? ""
          : describe(summary.fault, summary.bad_table, rows.width, rows.options.freq_precision);
  check(found == expected, "expected the fault '" + expected + "', got '" + found + "'");
}

}  // namespace
}  // namespace torch_ans

int main(int argc, char** argv) {
  plant_defect();
  const int seeds = argc > 1 ? std::atoi(argv[1]) : 200;
  for (int seed = 0; seed < seeds; ++seed) {
    Random random(static_cast<std::uint64_t>(seed));
    torch_ans::test_images(random);
    torch_ans::test_faults(random);
  }
  std::printf("tables: ok\n");
  return 0;
}
