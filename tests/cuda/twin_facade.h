/// The facade of cuda/facade.h on the host twin.
#pragma once

#include <cmath>
#include <cstring>

#include "twin.h"

#define TORCH_ANS_DEVICE inline
#define TORCH_ANS_DEVICE_COLD
#define TORCH_ANS_KEEP_LOOP
#define TWIN_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

constexpr int kWarpSize = 32;

inline unsigned thread_index() { return twin::Block::current().thread(); }
inline unsigned block_size() { return twin::Block::current().threads(); }
inline unsigned block_index() { return twin::Block::current().block_index(); }
inline unsigned grid_size() { return twin::Block::current().grid_size(); }
inline unsigned lane_index() { return thread_index() % kWarpSize; }
inline unsigned warp_index() { return thread_index() / kWarpSize; }
inline unsigned uniform_warp_index() { return warp_index(); }

inline unsigned mask_below() { return (1u << lane_index()) - 1; }
inline unsigned mask_above() { return ~(mask_below() | 1u << lane_index()); }
inline unsigned lanes_below() {
  return twin::defect == twin::Defect::kLaneOrder ? mask_above() : mask_below();
}
inline unsigned lanes_above() {
  return twin::defect == twin::Defect::kLaneOrder ? mask_below() : mask_above();
}

inline int count_bits(unsigned value) { return __builtin_popcount(value); }
inline int lowest_bit(unsigned value) { return __builtin_ffs(static_cast<int>(value)) - 1; }

inline unsigned ballot(bool vote, TWIN_SITE) {
  return static_cast<unsigned>(
      twin::Block::current().meet(twin::Kind::kBallot, vote, 0, {file, line}));
}
inline bool any(bool vote, TWIN_SITE) { return ballot(vote, file, line) != 0; }

template <typename T>
T shuffle(T value, unsigned source, TWIN_SITE) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = twin::Block::current().meet(twin::Kind::kShuffle, bits, source, {file, line});
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

inline void sync_warp(TWIN_SITE) {
  const auto kind =
      twin::defect == twin::Defect::kNoBarrier ? twin::Kind::kBallot : twin::Kind::kSyncWarp;
  twin::Block::current().meet(kind, 0, 0, {file, line});
}
inline void sync_block(TWIN_SITE) {
  if (twin::defect == twin::Defect::kNoBlockBarrier) return;
  twin::Block::current().meet(twin::Kind::kSyncBlock, 0, 0, {file, line});
}

template <typename T>
T* moved(T* address, unsigned count) {
  return address + count;
}

inline void prefetch(const void* /*address*/) {}

inline std::uint64_t multiply_add(std::int32_t a, std::int32_t b, std::uint64_t c) {
  return static_cast<std::uint64_t>(std::int64_t{a} * b) + c;
}

inline std::uint64_t multiply_add(std::uint32_t a, std::uint32_t b, std::uint64_t c) {
  return std::uint64_t{a} * b + c;
}

template <typename T>
T held(T value) {
  return value;
}

template <typename T>
T held_by_each(T value) {
  return value;
}

template <typename T>
void check_alignment(const T* address) {
  if (reinterpret_cast<std::uintptr_t>(address) % sizeof(T) != 0) {
    twin::Block::current().fail("a load or store is not aligned");
  }
}

template <typename T>
T cached_load(const T* source) {
  check_alignment(source);
  T value;
  std::memcpy(&value, source, sizeof(T));
  return value;
}

template <typename T>
T streaming_load(const T* source) {
  return cached_load(source);
}

template <typename T>
std::int32_t streaming_load_int(const T* source) {
  return static_cast<std::int32_t>(streaming_load(source));
}

inline void store_if(bool wanted, std::uint16_t* target, std::uint32_t value) {
  check_alignment(target);
  if (wanted) *target = static_cast<std::uint16_t>(value);
}

template <typename T>
void streaming_store(T* target, T value) {
  check_alignment(target);
  std::memcpy(target, &value, sizeof(T));
}

template <typename T>
void streaming_store_low(T* target, std::int32_t value) {
  streaming_store(target, static_cast<T>(value));
}

template <typename T>
T exchanged_load(const T* source) {
  check_alignment(source);
  twin::Block::current().global_read(source);
  return *source;
}

template <typename T>
void exchanged_store(T* target, T value) {
  check_alignment(target);
  twin::Block::current().global_write(target);
  *target = value;
}

inline void atomic_add(unsigned* target, unsigned value) { *target += value; }
inline void atomic_min(std::uint64_t* target, std::uint64_t value) {
  if (value < *target) *target = value;
}

template <typename T>
class SharedArray {
 public:
  explicit SharedArray(std::uint32_t offset) : offset_(offset) {}
  T get(unsigned i) const {
    T value;
    std::memcpy(&value, twin::Block::current().shared_read(place(i), sizeof(T)), sizeof(T));
    return value;
  }
  void set(unsigned i, T value) const {
    std::memcpy(twin::Block::current().shared_write(place(i), sizeof(T)), &value, sizeof(T));
  }
  void merge(unsigned i, T bits) const {
    void* target = twin::Block::current().shared_merge(place(i), sizeof(T));
    T value;
    std::memcpy(&value, target, sizeof(T));
    value = static_cast<T>(value | bits);
    std::memcpy(target, &value, sizeof(T));
  }
  void copy(unsigned i, const T* source) const {
    static_assert(sizeof(T) == 4 || sizeof(T) == 16, "what a copy takes");
    check_alignment(source);
    twin::Block::current().shared_copy(place(i), source, sizeof(T));
  }

 private:
  std::size_t place(unsigned i) const { return offset_ + std::size_t{i} * sizeof(T); }

  std::size_t offset_;
};

inline std::uint32_t shared_place(std::uint32_t offset) { return offset; }

template <typename T>
T load_shared(std::uint32_t place) {
  return SharedArray<T>(place).get(0);
}

inline void wait_for_copies() {
  if (twin::defect != twin::Defect::kNoWait) twin::Block::current().wait_for_copies();
}

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
