/// How a kernel's inner loop reads tables: where they are, or from a copy in shared memory.
#pragma once

#include "facade.h"
#include "task.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// The table of a symbol. Without a name it has none, whatever the rest says.
struct NamedTable {
  bool named;
  std::uint32_t index;
  TableInfo info;

  TORCH_ANS_DEVICE std::int32_t value(std::uint32_t symbol) const {
    return static_cast<std::int32_t>(symbol) + info.offset;
  }
};

/// What lies behind tables in shared memory begins at multiples of 16 bytes.
TORCH_ANS_FN std::size_t whole_lines(std::size_t bytes) { return (bytes + 15) / 16 * 16; }

/// A symbol that is to be put with care has this in its id.
constexpr std::uint32_t kRareId = std::uint32_t{1} << 31;

/// What both ways share: `Derived` says how TableInfos and entries are loaded.
template <typename Derived>
class ImageTables {
 public:
  using Name = NamedTable;
  static constexpr bool kOne = false;
  static constexpr bool kMayAlias = true;
  static constexpr bool kMayOverflow = true;  ///< symbols may not fit their type
  static constexpr bool kDefers = false;      ///< whether four steps run before care is taken

  /// `index` may name no table.
  TORCH_ANS_DEVICE NamedTable name(const TablesView& view, std::uint32_t index) const {
    return {index < view.num_tables, index, self().info(smaller(index, view.num_tables))};
  }

  /// The id of a symbol, with kRareId where it takes the careful path.
  TORCH_ANS_DEVICE std::uint32_t id_of(const TablesView& view, std::int32_t symbol,
                                       std::int32_t index) const {
    const NamedTable table = name(view, static_cast<std::uint32_t>(index));
    const std::uint32_t v =
        static_cast<std::uint32_t>(symbol) - static_cast<std::uint32_t>(table.info.offset);
    const std::uint32_t limit = table.info.last + (view.bypass_coding ? 0u : 1u);
    return table.info.base + (v < limit && table.named ? v : kRareId);
  }

  template <typename Item>
  TORCH_ANS_DEVICE Item item(const Item* items, std::uint32_t id) const {
    return self().load(items + id);
  }

 private:
  TORCH_ANS_DEVICE const Derived& self() const { return static_cast<const Derived&>(*this); }
};

/// Through the read-only cache.
class CachedTables : public ImageTables<CachedTables> {
 public:
  TORCH_ANS_DEVICE CachedTables(const CoderTask& task, const TablesPart& /*part*/)
      : infos_(task.tables.info) {}

  TORCH_ANS_DEVICE TableInfo info(std::uint32_t k) const { return cached_load(infos_ + k); }
  template <typename T>
  TORCH_ANS_DEVICE T load(const T* source) const {
    return cached_load(source);
  }

  /// Of the block's shared memory, from its start on.
  TORCH_ANS_DEVICE std::uint32_t shared_bytes() const { return 0; }

 private:
  const TableInfo* infos_;
};

/// From shared memory, where the whole block has copied the TableInfos and, behind them, a part of
/// the image: `load` takes addresses in that part alone.
class StagedTables : public ImageTables<StagedTables> {
 public:
  TORCH_ANS_DEVICE StagedTables(const CoderTask& task, const TablesPart& part)
      : end_(static_cast<std::uint32_t>(bytes(task.tables.num_tables, part))),
        moved_(info_bytes(task.tables.num_tables) - low_bits(part.begin)) {
    const SharedArray<Line> lines(0);
    const std::uint32_t infos = task.tables.num_tables + 1;
    const std::uint32_t count = infos + part.bytes / std::uint32_t{sizeof(Line)};
    const auto* info_lines = reinterpret_cast<const Line*>(task.tables.info);
    const auto* part_lines = reinterpret_cast<const Line*>(part.begin);
    for (std::uint32_t i = thread_index(); i < count; i += block_size()) {
      lines.copy(i, i < infos ? info_lines + i : part_lines + (i - infos));
    }
    wait_for_copies();
    sync_block();
  }

  TORCH_ANS_DEVICE TableInfo info(std::uint32_t k) const {
    return SharedArray<TableInfo>(0).get(k);
  }

  template <typename T>
  TORCH_ANS_DEVICE T load(const T* source) const {
    return SharedArray<T>(low_bits(source) + moved_).get(0);
  }

  TORCH_ANS_DEVICE std::uint32_t shared_bytes() const { return end_; }

  /// Bytes of shared memory that this takes.
  static TORCH_ANS_FN std::size_t bytes(std::uint32_t num_tables, const TablesPart& part) {
    return whole_lines(info_bytes(num_tables) + std::size_t{part.bytes});
  }

 private:
  static TORCH_ANS_FN std::uint32_t info_bytes(std::uint32_t num_tables) {
    return (num_tables + 1) * static_cast<std::uint32_t>(sizeof(TableInfo));
  }

  struct alignas(16) Line {
    std::uint32_t words[4];
  };
  static_assert(sizeof(TableInfo) == sizeof(Line), "copied as one");

  static TORCH_ANS_DEVICE std::uint32_t low_bits(const void* address) {
    return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(address));
  }

  std::uint32_t end_;
  std::uint32_t moved_;  ///< from an address of the part to its place, modulo 2^32
};

/// Entries of tables, as functions see them that take arrays elsewhere.
template <typename Tables, typename T>
struct TableEntries {
  const Tables& tables;
  const T* first;
  TORCH_ANS_DEVICE T operator[](std::uint32_t i) const { return tables.load(first + i); }
};

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
