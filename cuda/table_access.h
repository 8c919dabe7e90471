/// How a kernel's inner loop reads tables: where they are, or from a copy in shared memory.
#pragma once

#include "device_tables.h"
#include "facade.h"
#include "task.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// Through the read-only cache. `Item` is what is looked up besides TableInfo: Record<State> to
/// encode, Bucket to decode.
template <typename Item_>
class CachedTables {
 public:
  using Item = Item_;
  TORCH_ANS_DEVICE CachedTables(const TableInfo* infos, const Item* items)
      : infos_(infos), items_(items) {}
  TORCH_ANS_DEVICE TableInfo info(std::uint32_t k) const { return cached_load(infos_ + k); }
  TORCH_ANS_DEVICE Item item(std::uint32_t n) const { return cached_load(items_ + n); }

 private:
  const TableInfo* infos_;
  const Item* items_;
};

/// A TableInfo as shared memory holds it: read in one access.
struct alignas(16) SharedInfo {
  TableInfo info;
};

/// From shared memory, where the whole block has copied them; nothing else stands there.
template <typename Item_>
class StagedTables {
 public:
  using Item = Item_;
  TORCH_ANS_DEVICE StagedTables(const TableInfo* infos, std::uint32_t num_infos, const Item* items,
                                std::uint32_t num_items)
      : infos_(0), items_(num_infos * sizeof(SharedInfo)) {
    for (unsigned i = thread_index(); i < num_infos; i += block_size()) {
      infos_.set(i, SharedInfo{cached_load(infos + i)});
    }
    for (unsigned i = thread_index(); i < num_items; i += block_size()) {
      items_.set(i, cached_load(items + i));
    }
    sync_block();
  }
  TORCH_ANS_DEVICE TableInfo info(std::uint32_t k) const { return infos_.get(k).info; }
  TORCH_ANS_DEVICE Item item(std::uint32_t n) const { return items_.get(n); }

  /// Bytes of shared memory that this takes.
  static std::size_t bytes(std::size_t num_infos, std::size_t num_items) {
    return num_infos * sizeof(SharedInfo) + num_items * sizeof(Item);
  }

 private:
  SharedArray<SharedInfo> infos_;
  SharedArray<Item> items_;
};

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
