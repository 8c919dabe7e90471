/// Packing, unpacking and quantising on the twin, against plain loops and torch_ans/quantize.h.
#include <algorithm>
#include <cstring>

#include "check.h"
#include "pack_kernels.h"
#include "quantize_kernel.h"
#include "torch_ans/quantize.h"

namespace torch_ans {
namespace {

using Bytes = std::vector<std::uint8_t>;

void test_packing(Random& random) {
  const std::int64_t rows = random.between(0, 150);
  const std::int64_t columns = random.between(1, random.chance(0.1) ? 6000 : 40);
  const std::int64_t row_bytes = 4 * columns;
  const int length_bytes = random.pick(std::vector<int>{0, 1, 2, 4, 8});
  const bool bare_last = random.chance(0.5);
  std::vector<std::uint32_t> stream(static_cast<std::size_t>(rows * columns));
  auto* bytes = reinterpret_cast<std::uint8_t*>(stream.data());
  Bytes expected;
  std::int64_t bad_row = -1;
  const bool forge = random.chance(0.2);
  std::vector<std::int64_t> spans;
  for (std::int64_t row = 0; row < rows; ++row) {
    std::uint8_t* start = bytes + row * row_bytes;
    for (std::int64_t b = 0; b < row_bytes; ++b) {
      start[b] = static_cast<std::uint8_t>(random.between(0, 255));
    }
    std::int64_t length = random.between(0, row_bytes - 4);
    if (forge && random.chance(0.1)) length = random.chance(0.5) ? -1 : row_bytes - 3;
    store(start, static_cast<std::int32_t>(length));
    const int prefix = bare_last && row == rows - 1 ? 0 : length_bytes;
    const bool fits = prefix == 0 || prefix >= 4 || length >> (8 * prefix) == 0;
    if (length < 0 || length > row_bytes - 4 || !fits) {
      if (bad_row < 0) bad_row = row;
      continue;
    }
    for (int b = 0; b < prefix; ++b) {
      expected.push_back(static_cast<std::uint8_t>(length >> (8 * b)));
    }
    spans.push_back(static_cast<std::int64_t>(expected.size()));
    spans.push_back(length);
    expected.insert(expected.end(), start + 4, start + 4 + length);
  }

  std::vector<std::int64_t> starts(static_cast<std::size_t>(rows + 1));
  std::uint64_t lowest_bad = ~std::uint64_t{0};
  const std::uint32_t failed = 7;
  gpu::PackPlan plan{};
  gpu::PackTask task{bytes, rows, row_bytes, length_bytes, bare_last, starts.data(), nullptr};
  const unsigned threads = 32 * static_cast<unsigned>(random.between(1, 4));
  launch({1, threads, gpu::kBlockSumBytes}, random, "plan",
         [&] { gpu::plan_kernel(task, &failed, &lowest_bad, &plan); });
  check(plan.bad_row == bad_row, "the row that cannot be packed");
  check(plan.failed == 7, "failed rows");
  if (bad_row >= 0) return;
  check(plan.bytes == static_cast<std::int64_t>(expected.size()), "packed size");
  const auto shift = static_cast<std::size_t>(random.between(0, 3));
  Bytes packed(expected.size() + shift + 8, 0xee);
  task.packed = packed.data() + shift;
  launch({3, 64, 0}, random, "pack", [&] { gpu::pack_kernel(task); });
  check(std::equal(expected.begin(), expected.end(), packed.data() + shift), "packed bytes");
  check(packed[expected.size() + shift] == 0xee, "bytes behind the packed ones");

  std::vector<std::uint32_t> unpacked(stream.size(), 0xdddddddd);
  gpu::PackTask back{reinterpret_cast<std::uint8_t*>(unpacked.data()),
                     rows,
                     row_bytes,
                     length_bytes,
                     bare_last,
                     spans.data(),
                     packed.data() + shift};
  launch({2, 64, 0}, random, "unpack", [&] { gpu::unpack_kernel(back); });
  for (std::int64_t row = 0; row < rows; ++row) {
    std::uint8_t* start = bytes + row * row_bytes;
    const std::int64_t used = 4 + load<std::int32_t>(start);
    std::memset(start + used, 0, static_cast<std::size_t>(row_bytes - used));
  }
  check(unpacked == stream, "unpacked rows");
}

template <typename T>
void test_quantising(Random& random) {
  const std::int64_t rows = random.between(1, 6);
  const int precision = static_cast<int>(random.between(1, 16));
  const std::int64_t length = random.between(1, random.chance(0.3) ? 500 : 40);
  const double sparse = random.pick(std::vector<double>{0.0, 0.5, 0.95});
  const std::int64_t scale = random.pick(std::vector<std::int64_t>{3, 100, 1 << 20});
  const bool skewed = random.chance(0.3);
  std::vector<T> pmf(static_cast<std::size_t>(rows * length));
  for (T& p : pmf) {
    const std::int64_t weight = random.chance(sparse) ? 0 : random.between(0, scale);
    p = std::is_same_v<T, float>
            ? static_cast<T>(static_cast<double>(weight) / static_cast<double>(scale * length))
            : static_cast<T>(weight);
    if (skewed && random.chance(0.05)) p = static_cast<T>(p * 1000);
    if (random.chance(0.002)) p = static_cast<T>(-1);
    if (std::is_same_v<T, float> && random.chance(0.001)) p = static_cast<T>(1e30);
  }
  std::vector<std::int32_t> lengths;
  for (std::int64_t row = 0; row < rows; ++row) {
    lengths.push_back(
        static_cast<std::int32_t>(random.between(random.chance(0.05) ? 0 : 1, length)));
  }
  const bool ragged = random.chance(0.5);
  std::vector<std::int32_t> cdfs(static_cast<std::size_t>(rows * (length + 1)), -7);
  std::vector<std::int32_t> statuses(static_cast<std::size_t>(rows), -1);
  const gpu::QuantizeTask task{pmf.data(),
                               std::is_same_v<T, float>,
                               rows,
                               length,
                               ragged ? lengths.data() : nullptr,
                               precision,
                               cdfs.data(),
                               statuses.data()};
  launch({2, 64, 0}, random, "quantize", [&] { gpu::quantize_kernel(task); });
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto r = static_cast<std::size_t>(row);
    const std::int64_t used = ragged ? lengths[r] : length;
    const std::int32_t* cdf = cdfs.data() + row * (length + 1);
    if (used < 1) {
      check(statuses[r] == static_cast<std::int32_t>(gpu::RowStatus::kBadLength), "length");
      continue;
    }
    std::vector<std::int32_t> expected(static_cast<std::size_t>(length + 1), 1 << precision);
    const QuantizeStatus status = quantize_pmf(
        pmf.data() + row * length, static_cast<std::size_t>(used), precision, expected.data());
    check(statuses[r] == static_cast<std::int32_t>(status), "status of a pmf row");
    if (status == QuantizeStatus::kOk) {
      check(std::equal(expected.begin(), expected.end(), cdf), "a quantised row");
    }
  }
}

}  // namespace
}  // namespace torch_ans

int main(int argc, char** argv) {
  plant_defect();
  const int seeds = argc > 1 ? std::atoi(argv[1]) : 200;
  for (int seed = 0; seed < seeds; ++seed) {
    Random random(static_cast<std::uint64_t>(seed));
    torch_ans::test_packing(random);
    torch_ans::test_quantising<float>(random);
    torch_ans::test_quantising<std::int64_t>(random);
  }
  std::printf("packing and quantising: ok\n");
  return 0;
}
