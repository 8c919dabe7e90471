/// One table in shared memory, in which plain decoders (plain_case.h) find a slot's symbol by two
/// look-ups: of the slot's hint, which is the number of its symbol, and of the symbol's share.
#pragma once

#include "table_access.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// The share of a symbol has what is `missing` of its freq to 2^P. From the lowest bit it is
/// `start:P | 0 | care:2 from bit 15 | missing:P` up to bit 31. So share = missing 2^(32 - P) +
/// start where no care is needed, and with a slot's symbol
///
///   D(x) = (x >> P) freq + slot - start = x - share + missing (2^(32 - P) - (x >> P)):
///
/// nothing has to be cut out of the share but `missing`, and one product of 64 bits,
///
///   x * -2^(32 - P) + (2^(64 - P) + 2^32 - 2^(32 - P)),
///
/// has that difference as its upper word and 2^P - 1 - slot as the upper bits of the lower word.
/// The hints' order is thus that of falling slots.
///
/// kBytes: the number of a symbol is its value, and 256 may be that of a sentinel; otherwise it is
/// counted from the table's first.
template <bool kBytes>
class SlotTables {
 public:
  static constexpr bool kMayOverflow = false;
  static constexpr bool kDefers = true;
  static constexpr std::uint32_t kMostCopies = 32;

  struct Name {
    std::int32_t first;  ///< the symbol value of number 0

    TORCH_ANS_DEVICE std::int32_t value(std::uint32_t number) const {
      return static_cast<std::int32_t>(number + (kBytes ? 0 : static_cast<std::uint32_t>(first)));
    }
  };

  TORCH_ANS_DEVICE SlotTables(const CoderTask& task, const TablesPart& part)
      : precision_(held(task.tables.freq_precision)),
        stride_(held_by_each(4 * task.table_copies)),
        own_(shared_place(hint_bytes(precision_) + 4 * (lane_index() & (task.table_copies - 1)))),
        minus_scale_(held(static_cast<std::int32_t>(0u - (1u << (32 - precision_))))),
        split_(held_by_each((std::uint64_t{1} << (64 - precision_)) +
                            static_cast<std::uint32_t>(minus_scale_))),
        end_(static_cast<std::uint32_t>(bytes(task, part))) {
    const TablesView& view = task.tables;
    const TableInfo info = cached_load(view.info);
    only_ = {info.offset};
    const std::uint32_t first = kBytes ? static_cast<std::uint32_t>(info.offset) : 0;
    for (std::uint32_t v = thread_index(); v <= info.last; v += block_size()) {
      const std::uint32_t start = cached_load(view.cdf + v);
      const std::uint32_t missing = (1u << precision_) - (cached_load(view.cdf + v + 1) - start);
      const bool needs_care = view.bypass_coding && v == info.last;
      const std::uint32_t share = missing << (32 - precision_) | (needs_care ? kCare : 0) | start;
      const SharedArray<std::uint32_t> copies(hint_bytes(precision_) +
                                              (first + v) * 4 * task.table_copies);
      for (std::uint32_t copy = 0; copy < task.table_copies; ++copy) copies.set(copy, share);
    }
    fill_hints(view.cdf, info.last, first);
    sync_block();
  }

  TORCH_ANS_DEVICE Name name(const TablesView& /*view*/, std::uint32_t /*index*/) const {
    return only_;
  }

  /// The number of the symbol that the state names, and the state behind it, still to be filled.
  /// What comes back is not 0 where care is needed.
  TORCH_ANS_DEVICE std::uint32_t find(std::uint32_t x, std::uint32_t& number,
                                      std::uint32_t& next) const {
    const std::uint64_t parts = multiply_add(static_cast<std::int32_t>(x), minus_scale_, split_);
    const auto low = static_cast<std::uint32_t>(parts);
    number = SharedArray<std::uint16_t>(low >> (31 - precision_)).get(0);
    const auto share = load_shared<std::uint32_t>(number * stride_ + own_);
    next = x - share + (share >> (32 - precision_)) * static_cast<std::uint32_t>(parts >> 32);
    return share & kCare;
  }

  TORCH_ANS_DEVICE std::uint32_t shared_bytes() const { return end_; }

  static TORCH_ANS_FN std::size_t bytes(const CoderTask& task, const TablesPart& /*part*/) {
    return whole_lines(hint_bytes(task.tables.freq_precision) +
                       copy_bytes(task) * task.table_copies);
  }
  static TORCH_ANS_FN std::size_t copy_bytes(const CoderTask& task) {
    return 4 * std::size_t{kBytes ? 0x101 : task.tables.num_ids};
  }

 private:
  static constexpr std::uint32_t kCare = std::uint32_t{3}
                                         << 15;  ///< two bits: asked for both at once

  static TORCH_ANS_FN std::uint32_t hint_bytes(int precision) {
    return std::uint32_t{2} << precision;
  }

  /// Two at a time: no thread writes half of what another one does. A warp fills the pairs that
  /// begin with a symbol's slot; the second slot is that of this symbol or of one before it.
  TORCH_ANS_DEVICE void fill_hints(const std::uint32_t* cdf, std::uint32_t last,
                                   std::uint32_t first) const {
    const std::uint32_t slots = std::uint32_t{1} << precision_;
    const SharedArray<std::uint32_t> pairs(0);
    for (std::uint32_t v = warp_index(); v <= last; v += block_size() / kWarpSize) {
      const std::uint32_t start = slots - cached_load(cdf + v + 1);
      const std::uint32_t end = slots - cached_load(cdf + v);
      for (std::uint32_t i = (start + 1) / 2 + lane_index(); 2 * i < end; i += kWarpSize) {
        std::uint32_t second = v;
        while (second > 0 && 2 * i + 1 >= slots - cached_load(cdf + second)) --second;
        pairs.set(i, (first + v) | (first + second) << 16);
      }
    }
  }

  int precision_;
  std::uint32_t stride_;      ///< bytes from a number's shares to the next one's
  std::uint32_t own_;         ///< the place of this thread's copy of the first share
  std::int32_t minus_scale_;  ///< -2^(32 - P)
  std::uint64_t split_;
  std::uint32_t end_;
  Name only_{};
};

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
