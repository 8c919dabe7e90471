/// The twin itself: what would be undefined on a GPU is found in each order of the threads.
#include "check.h"

using namespace torch_ans::gpu;

namespace {

std::string error_of(twin::Order order, unsigned threads, const std::function<void()>& body) {
  twin::Block block(threads, 4096, order, 11);
  block.run(0, 1, body);
  return block.error();
}

/// Runs a kernel in every order; its error must contain `expected`, or be empty.
void expect(const std::string& name, const std::string& expected, unsigned threads,
            const std::function<void()>& body) {
  for (const auto order :
       {twin::Order::kAscending, twin::Order::kDescending, twin::Order::kRandom}) {
    const std::string error = error_of(order, threads, body);
    const bool ok = expected.empty() ? error.empty() : error.find(expected) != std::string::npos;
    check(ok, name + ": " + (error.empty() ? "no error" : error));
  }
}

/// Each thread reads what its neighbour wrote.
template <typename Fence>
void exchange(const Fence& fence) {
  const SharedArray<int> shared(0);
  shared.set(thread_index(), static_cast<int>(thread_index()));
  fence();
  check(shared.get((thread_index() + 1) % block_size()) ==
            static_cast<int>((thread_index() + 1) % block_size()),
        "a value in shared memory");
}

}  // namespace

int main() {
  expect("a warp's barrier", "", 32, [] { exchange([] { sync_warp(); }); });
  expect("a block's barrier", "", 96, [] { exchange([] { sync_block(); }); });
  expect("a ballot as a fence", "race", 32, [] {
    const SharedArray<int> shared(0);
    shared.set(thread_index(), 1);
    ballot(true);
    shared.get((thread_index() + 1) % 32);
  });
  expect("a warp's barrier between warps", "race", 64, [] {
    const SharedArray<int> shared(0);
    shared.set(thread_index(), 1);
    sync_warp();
    shared.get((thread_index() + 32) % 64);
  });
  static int global[32];
  expect("a ballot as a fence of global memory", "race", 32, [] {
    exchanged_store(global + thread_index(), 1);
    ballot(true);
    exchanged_load(global + (thread_index() + 1) % 32);
  });
  expect("a write after a read", "race", 32, [] {
    const SharedArray<int> shared(0);
    shared.get(5);
    ballot(true);
    if (thread_index() == 3) shared.set(5, 1);
  });
  expect("atomic operations that meet", "", 32, [] {
    const SharedArray<unsigned> shared(0);
    shared.set(thread_index(), 0);
    sync_warp();
    shared.merge(thread_index() / 8, 1u << (thread_index() % 8));
    sync_warp();
    check(shared.get(thread_index() / 8) == 0xff, "merged bits");
  });
  expect("a read after an atomic operation", "race", 32, [] {
    const SharedArray<unsigned> shared(0);
    shared.merge(5, 1);
    ballot(true);
    shared.get(5);
  });
  expect("an atomic operation after a write", "race", 32, [] {
    const SharedArray<unsigned> shared(0);
    if (thread_index() == 0) shared.set(5, 0);
    ballot(true);
    shared.merge(5, 1);
  });
  static const std::uint32_t source[32] = {7, 8, 9};
  expect("a copy that has been waited for", "", 64, [] {
    const SharedArray<std::uint32_t> shared(0);
    if (thread_index() < 32) shared.copy(thread_index(), source + thread_index());
    wait_for_copies();
    sync_block();
    check(shared.get(thread_index() % 32) == source[thread_index() % 32], "a copied value");
  });
  expect("a copy that nobody has waited for", "is under way", 32, [] {
    const SharedArray<std::uint32_t> shared(0);
    shared.copy(thread_index(), source + thread_index());
    sync_warp();
    shared.get(thread_index());
  });
  expect("a copy that another thread has waited for", "race", 32, [] {
    const SharedArray<std::uint32_t> shared(0);
    shared.copy(thread_index(), source + thread_index());
    wait_for_copies();
    ballot(true);
    shared.get((thread_index() + 1) % 32);
  });
  expect("a copy over what is still read", "race", 32, [] {
    const SharedArray<std::uint32_t> shared(0);
    shared.get((thread_index() + 1) % 32);
    shared.copy(thread_index(), source + thread_index());
    wait_for_copies();
  });
  expect("a write under a copy", "is under way", 32, [] {
    const SharedArray<std::uint32_t> shared(0);
    shared.copy(thread_index(), source + thread_index());
    shared.set(thread_index(), 0);
  });
  expect("an element of 16 bytes beside one of 4", "race", 32, [] {
    struct alignas(16) Line {
      std::uint32_t words[4];
    };
    if (thread_index() == 0) SharedArray<Line>(0).set(0, Line{});
    ballot(true);
    SharedArray<std::uint32_t>(0).get(3);
  });
  expect("an element off its alignment", "not aligned", 32, [] { SharedArray<int>(2).get(0); });
  expect("half a warp at a ballot", "deadlock", 32, [] {
    if (thread_index() < 16) ballot(true);
  });
  expect("two halves at two ballots", "meets at line", 32, [] {
    if (thread_index() < 16) {
      ballot(true);
    } else {
      ballot(false);
    }
  });
  expect("a barrier without a warp", "deadlock", 64, [] {
    if (warp_index() == 0) sync_block();
  });
  expect("shared memory past its end", "too small", 32,
         [] { SharedArray<int>(4096).set(thread_index() + 64, 1); });
  expect("votes and shuffles", "", 32, [] {
    check(ballot(lane_index() % 2 == 0) == 0x55555555u, "a ballot");
    check(shuffle(lane_index() * 3, 7) == 21, "a shuffle");
    check(any(lane_index() == 9) && !any(false), "any");
  });
  std::printf("twin: ok\n");
  return 0;
}
