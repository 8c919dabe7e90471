/// One table of bytes in shared memory, in which plain decoders (plain_case.h) find by one look-up
/// all that a slot says: where 32 bits hold that, and there is no escape.
#pragma once

#include "table_access.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// A slot's word is `symbol:8 | rank:12 | freq:12` from the lowest bit, and the next state
///
///   D(x) = (x >> P) freq + rank = ((x >> P) - 2^12) freq + (freq 2^12 + rank):
///
/// shifted down once, the word is the term on the right, and its lowest byte is the symbol as it
/// is. One product of 64 bits,
///
///   x * 2^(32 - P) - 2^44,
///
/// has (x >> P) - 2^12 as its upper word and the slot as the highest bits of its lower one. The
/// product of that with the bytes of all copies has the slot's place as its upper word, and as the
/// same is added to it, less 2^12. Threads that read at the same time read different copies: the
/// number of a thread's copy stands below the slot.
class PackedTables {
 public:
  static constexpr bool kMayOverflow = false;
  static constexpr bool kDefers = true;
  static constexpr int kMostPrecision = 12;
  static constexpr std::uint32_t kMostCopies = 32;

  struct Name {
    /// The symbol, in the lowest byte.
    TORCH_ANS_DEVICE std::int32_t value(std::uint32_t number) const {
      return static_cast<std::int32_t>(number);
    }
  };

  TORCH_ANS_DEVICE PackedTables(const CoderTask& task, const TablesPart& part)
      : scale_(held(std::uint32_t{1} << (32 - task.tables.freq_precision))),
        spread_(held_by_each(static_cast<std::uint32_t>(copy_bytes(task)) * task.table_copies)),
        split_(held(std::uint64_t{0u - (1u << kRankBits)} << 32 |
                    (lane_index() & (task.table_copies - 1)) * (scale_ / task.table_copies))),
        end_(static_cast<std::uint32_t>(bytes(task, part))) {
    const TablesView& view = task.tables;
    const TableInfo info = cached_load(view.info);
    const int copies_log2 = static_cast<int>(bit_width(task.table_copies)) - 1;
    const SharedArray<std::uint32_t> words(0);
    for (std::uint32_t v = warp_index(); v <= info.last; v += block_size() / kWarpSize) {
      const std::uint32_t start = cached_load(view.cdf + v);
      const std::uint32_t end = cached_load(view.cdf + v + 1);
      const std::uint32_t symbol = (static_cast<std::uint32_t>(info.offset) + v) & 0xffu;
      const std::uint32_t word = (end - start) << (kSymbolBits + kRankBits) | symbol;
      for (std::uint32_t n = (start << copies_log2) + lane_index(); n < end << copies_log2;
           n += kWarpSize) {
        words.set(n, ((n >> copies_log2) - start) << kSymbolBits | word);
      }
    }
    sync_block();
  }

  TORCH_ANS_DEVICE Name name(const TablesView& /*view*/, std::uint32_t /*index*/) const {
    return {};
  }

  /// The symbol that the state names, in the lowest byte of `number`, and the state behind it,
  /// still to be filled. No care is ever needed: 0.
  TORCH_ANS_DEVICE std::uint32_t find(std::uint32_t x, std::uint32_t& number,
                                      std::uint32_t& next) const {
    const std::uint64_t parts = multiply_add(x, scale_, split_);
    const std::uint64_t place = multiply_add(static_cast<std::uint32_t>(parts), spread_, split_);
    number = SharedArray<std::uint32_t>(static_cast<std::uint32_t>(place >> 32) + (1u << kRankBits))
                 .get(0);
    next = static_cast<std::uint32_t>(parts >> 32) * (number >> (kSymbolBits + kRankBits)) +
           (number >> kSymbolBits);
    return 0;
  }

  TORCH_ANS_DEVICE std::uint32_t shared_bytes() const { return end_; }

  static TORCH_ANS_FN std::size_t bytes(const CoderTask& task, const TablesPart& /*part*/) {
    return whole_lines(copy_bytes(task) * task.table_copies);
  }
  static TORCH_ANS_FN std::size_t copy_bytes(const CoderTask& task) {
    return sizeof(std::uint32_t) << task.tables.freq_precision;
  }

 private:
  static constexpr int kSymbolBits = 8;
  static constexpr int kRankBits = kMostPrecision;

  std::uint32_t scale_;   ///< 2^(32 - P)
  std::uint32_t spread_;  ///< bytes of all copies: what a slot as a fraction of 2^32 is scaled to
  std::uint64_t split_;   ///< what is added to both products
  std::uint32_t end_;
};

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
