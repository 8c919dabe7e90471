/// What the tests of the twin share: random numbers, checks, and running a kernel over a grid.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "facade.h"

/// Ends the run with a message and status 1.
inline void check(bool ok, const std::string& what) {
  if (ok) return;
  std::printf("FAILED: %s\n", what.c_str());
  std::exit(1);
}

/// The defect that the environment variable TWIN_DEFECT asks for.
inline void plant_defect() {
  const char* name = std::getenv("TWIN_DEFECT");
  if (name == nullptr) return;
  const std::string defect = name;
  if (defect == "no_barrier") twin::defect = twin::Defect::kNoBarrier;
  if (defect == "no_block_barrier") twin::defect = twin::Defect::kNoBlockBarrier;
  if (defect == "no_wait") twin::defect = twin::Defect::kNoWait;
  if (defect == "lane_order") twin::defect = twin::Defect::kLaneOrder;
  check(twin::defect != twin::Defect::kNone, "TWIN_DEFECT is " + defect);
}

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(engine_() % static_cast<std::uint64_t>(high - low + 1));
  }
  bool chance(double p) { return static_cast<double>(engine_() >> 11) * 0x1p-53 < p; }
  template <typename T>
  const T& pick(const std::vector<T>& from) {
    return from[static_cast<std::size_t>(between(0, static_cast<std::int64_t>(from.size()) - 1))];
  }

 private:
  std::mt19937_64 engine_;
};

struct Grid {
  unsigned blocks = 2;
  unsigned threads = 64;
  std::size_t shared_bytes = 0;
};

/// Runs `body` as a kernel, its blocks in a random order.
template <typename Body>
void launch(const Grid& grid, Random& random, const std::string& what, const Body& body) {
  const auto order = random.pick(std::vector<twin::Order>{
      twin::Order::kAscending, twin::Order::kDescending, twin::Order::kRandom});
  twin::Block block(grid.threads, grid.shared_bytes, order,
                    static_cast<std::uint64_t>(random.between(0, 1 << 30)));
  std::vector<unsigned> blocks(grid.blocks);
  for (unsigned b = 0; b < grid.blocks; ++b) blocks[b] = b;
  for (unsigned b = grid.blocks; b > 1; --b) {
    std::swap(blocks[b - 1], blocks[static_cast<std::size_t>(random.between(0, b - 1))]);
  }
  for (const unsigned b : blocks) {
    const bool ok = block.run(b, grid.blocks, body);
    check(ok, what + ": " + block.error());
  }
}
