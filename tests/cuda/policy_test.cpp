/// Where the launch policy has tables read: `staged_grid` of launch_policy.h. What plain kernels
/// set aside for them: `HintGrids` of span_tables.h.
#include "check.h"
#include "launch_policy.h"
#include "span_tables.h"

using namespace torch_ans::gpu;

namespace {

constexpr DeviceTraits kH200 = {90, 132, 227 * 1024};
constexpr DeviceTraits kT4 = {75, 40, 64 * 1024};
constexpr std::size_t kKiB = 1024;

void expect(const std::string& name, const StagingCase& what, const DeviceTraits& device,
            const StagedGrid& expected) {
  const int most = launch_policy(device.arch).staged.threads / 32;
  const StagedGrid found = staged_grid(what, device, most);
  check(found.blocks == expected.blocks && found.block_warps == expected.block_warps,
        name + ": " + std::to_string(found.blocks) + " blocks of " +
            std::to_string(found.block_warps) + " warps");
}

/// The room for hints suffices for tables of every size (it is a sum over tables).
void expect_room_for_hints() {
  for (int precision = 1; precision <= kMostSpanPrecision; ++precision) {
    for (std::uint32_t last = 0; last < 1u << precision; ++last) {
      torch_ans::TablesView view{};
      view.freq_precision = precision;
      view.num_tables = 1;
      view.num_ids = last + 2;
      check(HintGrids::grid(view, last).count() <= HintGrids::most(view),
            "room for hints, precision " + std::to_string(precision) + ", last " +
                std::to_string(last));
    }
  }
}

}  // namespace

int main() {
  expect_room_for_hints();
  constexpr std::int64_t kMany = std::int64_t{1} << 30;
  constexpr StagedGrid kCached{0, 0};
  expect("many rows, small tables", {8192, kMany, 4 * kKiB, kKiB}, kH200, {132, 24});
  expect("a block is no larger than its rows", {256, kMany, 4 * kKiB, kKiB}, kH200, {132, 2});
  expect("a block for each of a few rows", {9, kMany, 4 * kKiB, kKiB}, kH200, {9, 1});
  expect("the largest tables beside all warps", {8192, kMany, 203 * kKiB, kKiB}, kH200, {132, 24});
  expect("larger ones cost warps", {8192, kMany, 210 * kKiB, kKiB}, kH200, {132, 17});
  expect("but not too many", {8192, kMany, 216 * kKiB, kKiB}, kH200, kCached);
  expect("few rows need few", {256, kMany, 224 * kKiB, kKiB}, kH200, {132, 2});
  expect("tables as large as shared memory", {8192, kMany, 227 * kKiB, 0}, kH200, {132, 24});
  expect("and with a ring beside them", {1, kMany, 227 * kKiB, kKiB}, kH200, kCached);
  expect("tables that fill gigabytes", {8192, kMany, std::size_t{1} << 33, 0}, kH200, kCached);
  expect("symbols that do not pay", {8192, 132 * 80000, 64 * kKiB, kKiB}, kH200, kCached);
  expect("symbols that just pay", {8192, 132 * 81920, 64 * kKiB, kKiB}, kH200, {132, 24});
  expect("one row that does", {1, 81920, 64 * kKiB, kKiB}, kH200, {1, 1});
  expect("no symbols", {1, 0, 4 * kKiB, kKiB}, kH200, kCached);
  expect("a small GPU", {8192, kMany, 32 * kKiB, kKiB}, kT4, {40, 16});
  expect("tables too large for it", {8192, kMany, 56 * kKiB, kKiB}, kT4, kCached);
  check(table_copies({32, kKiB, 0, 0, kMany}, kH200) == 32, "copies of a small table");
  check(table_copies({32, 8 * kKiB, 0, 192 * kKiB, kMany}, kH200) == 4, "copies of a larger one");
  check(table_copies({32, 16 * kKiB, 0, 32 * kKiB, kMany}, kH200) == 8, "as beside all warps fit");
  check(table_copies({8, kKiB * kKiB, 0, 0, kMany}, kH200) == 1, "no copies of the largest");
  check(table_copies({32, kKiB, 64 * kKiB, 0, kMany}, kH200) == 32, "copies beside much else");
  check(table_copies({32, kKiB, 32 * kKiB, 32 * kKiB, kMany}, kT4) == 8, "copies on a small GPU");
  check(table_copies({32, kKiB, 128 * kKiB, 0, kMany}, kT4) == 1, "no copies where nothing fits");
  check(table_copies({32, kKiB, 0, 0, 132 * 5120}, kH200) == 2, "as many as few symbols pay for");
  std::printf("policy: ok\n");
  return 0;
}
