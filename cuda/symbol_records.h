/// One table's records in shared memory, for plain encoders (plain_case.h): as many copies as lanes
/// read at a time, so that no two of them want the same bank.
#pragma once

#include "table_access.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// C(s, x) without a correction: x / freq = (x * reciprocal >> 32) >> shift for x < 2^31 (with a
/// freq of 1 that is one less, which `start` makes up for), and x + start + (x / freq) * missing is
/// the next state, where freq + missing = 2^P.
struct alignas(16) SymbolRecord {
  std::uint32_t reciprocal;
  std::uint32_t limit;            ///< states from here on give up a word
  std::uint32_t shift_and_start;  ///< from the lowest bit `shift:5 | 0 | start:16 from bit 16`
  std::uint32_t missing;          ///< kCare: there is no such symbol
  static constexpr std::uint32_t kCare = std::uint32_t{3} << 30;
};

/// kBytes: records of all 256 values; otherwise symbols are counted from the table's first, and
/// behind the last is one for all others.
template <bool kBytes>
class SymbolRecords {
 public:
  static constexpr bool kOne = true;
  static constexpr std::uint32_t kMostCopies = 8;  ///< a quarter of a warp reads at a time

  TORCH_ANS_DEVICE SymbolRecords(const CoderTask& task, const TablesPart& part)
      : stride_(task.table_copies * std::uint32_t{sizeof(SymbolRecord)}),
        own_(shared_place((lane_index() & (task.table_copies - 1)) *
                          std::uint32_t{sizeof(SymbolRecord)})),
        end_(static_cast<std::uint32_t>(bytes(task, part))) {
    const TablesView& view = task.tables;
    const TableInfo info = cached_load(view.info);
    first_ = info.offset;
    count_ = info.last + (view.bypass_coding ? 0u : 1u);
    const std::uint32_t before = kBytes ? static_cast<std::uint32_t>(first_) : 0;
    for (std::uint32_t n = thread_index(); n < numbers(task); n += block_size()) {
      const std::uint32_t v = n - before;
      SymbolRecord record{0, 0, 0, SymbolRecord::kCare};
      if (v < count_) record = make(view, v);
      for (std::uint32_t copy = 0; copy < task.table_copies; ++copy) {
        SharedArray<SymbolRecord>(n * stride_).set(copy, record);
      }
    }
    sync_block();
  }

  TORCH_ANS_DEVICE SymbolRecord record(std::int32_t symbol) const {
    const std::uint32_t number =
        kBytes ? static_cast<std::uint32_t>(symbol)
               : smaller(static_cast<std::uint32_t>(symbol) - static_cast<std::uint32_t>(first_),
                         count_);
    return load_shared<SymbolRecord>(number * stride_ + own_);
  }

  TORCH_ANS_DEVICE std::uint32_t shared_bytes() const { return end_; }

  static TORCH_ANS_FN std::size_t bytes(const CoderTask& task, const TablesPart& /*part*/) {
    return copy_bytes(task) * task.table_copies;
  }
  static TORCH_ANS_FN std::size_t copy_bytes(const CoderTask& task) {
    return std::size_t{numbers(task)} * sizeof(SymbolRecord);
  }

 private:
  static TORCH_ANS_FN std::uint32_t numbers(const CoderTask& task) {
    return kBytes ? 0x100 : task.tables.num_ids;
  }

  static TORCH_ANS_DEVICE SymbolRecord make(const TablesView& view, std::uint32_t v) {
    const std::uint32_t start = cached_load(view.cdf + v);
    const std::uint32_t freq = cached_load(view.cdf + v + 1) - start;
    const std::uint32_t missing = (1u << view.freq_precision) - freq;
    const std::uint32_t limit = freq << (31 - view.freq_precision);
    if (freq == 1) return {~std::uint32_t{0}, limit, (start + missing) << 16, missing};
    const std::uint32_t shift = static_cast<std::uint32_t>(bit_width(freq - 1)) - 1;
    const std::uint64_t one = std::uint64_t{1} << (32 + shift);
    return {static_cast<std::uint32_t>((one + freq - 1) / freq), limit, start << 16 | shift,
            missing};
  }

  std::uint32_t stride_;
  std::uint32_t own_;
  std::uint32_t end_;
  std::uint32_t count_ = 0;  ///< symbols that need no care
  std::int32_t first_ = 0;
};

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
