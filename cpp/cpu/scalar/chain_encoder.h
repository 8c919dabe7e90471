/// Push of one row of one lane of rans64, which is bound by the latency of what a symbol waits for:
/// the multiplication by a reciprocal, a shift, the multiplication by the complement and an
/// addition. All else, whether a word leaves above all, is made to be known by then, and stands
/// behind these in the code: a CPU starts what is ready in that order.
///
/// That leaves a CPU idle half of the time. So symbols are looked up while the chain codes those
/// that follow them in the row.
#pragma once

#include "backends.h"
#include "cpu/latents.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// `value`, in code that comes after what `other` takes.
TORCH_ANS_FN std::uint64_t behind(std::uint64_t other, std::uint64_t value) {
#if defined(__GNUC__)
  asm("" : "+r"(value) : "r"(other));
#else
  (void)other;
#endif
  return value;
}

/// `Base` is the encoder that it is made of.
template <typename Base>
struct ChainEncoder : Base, CodesAhead {
  using State = std::uint64_t;
  using Record = EncoderRecord<State>;

  static void encode_groups(const TablesView& tables, State* states, std::uint8_t** outs,
                            const std::uint32_t* ids, int begin, int end) {
    Chain chain(tables, states[0], outs[0]);
    chain.put_all(ids + begin, end - begin);
    chain.save(states[0], outs[0]);
  }

  /// Codes symbols last - 1, last - 2 .. of a row, block by block, as long as none needs care and
  /// there is room below `row_end`. Returns the `last` to go on from.
  static std::int64_t encode_ahead(const CodingTask& task, std::int64_t row, std::int64_t last,
                                   const std::uint8_t* row_end, State* states,
                                   std::uint8_t** outs) {
    alignas(64) std::uint32_t ids[2][kBlock];
    Block next;
    Chain chain(task.tables, states[0], outs[0]);
    bool good = next.load(task, row, last) && next.find_ids(task.tables, ids[0]);
    for (int now = 0; good && row_end - chain.end() >= kBlockBytes; now = 1 - now) {
      last -= kBlock;
      // In two parts, across each of which a CPU sees the chain go on.
      good = next.load(task, row, last);
      chain.put_all(ids[now] + kBlock / 2, kBlock / 2);
      good = good && next.find_ids(task.tables, ids[1 - now]);
      chain.put_all(ids[now], kBlock / 2);
    }
    chain.save(states[0], outs[0]);
    return last;
  }

 private:
  static constexpr int kBlock = 64;
  static constexpr int kBlockBytes = 4 * kBlock + Base::kStoreSlack;
  /// Symbols between those that are looked up and those that are asked for, where Base asks.
  static constexpr int kAhead = 256;

  struct Block {
    const std::int32_t* symbols;
    const std::int32_t* indexes;
    alignas(64) std::int32_t symbols_tile[kBlock];
    alignas(64) std::int32_t indexes_tile[kBlock];

    /// That ends at `last`. False: the row begins within it.
    TORCH_ANS_FN bool load(const CodingTask& task, std::int64_t row, std::int64_t last) {
      const std::int64_t first = last - kBlock;
      if (first < 0) return false;
      const bool indexed = task.indexes.data != nullptr;
      symbols = load_symbols(task, row, first, kBlock, symbols_tile);
      indexes = indexed ? load_tile(task.indexes, row, first, kBlock, indexes_tile) : nullptr;
      return true;
    }

    /// False: a symbol needs care.
    TORCH_ANS_FN bool find_ids(const TablesView& tables, std::uint32_t* ids) const {
      const IdFlags flags = Base::make_ids(tables, {symbols, indexes, kAhead}, kBlock, ids);
      return !flags.bad_index && !flags.outside;
    }
  };

  class Chain {
   public:
    TORCH_ANS_FN Chain(const TablesView& tables, State x, std::uint8_t* out)
        : records_(static_cast<const Record*>(tables.records)), twice_(2 * x), out_(out) {}

    TORCH_ANS_FN void put_all(const std::uint32_t* ids, int count) {
      for (int t = count - 1; t >= 0; --t) put(records_[ids[t]]);
    }

    TORCH_ANS_FN std::uint8_t* end() const { return out_ + 4 * words_; }

    TORCH_ANS_FN void save(State& x, std::uint8_t*& out) const {
      x = twice_ >> 1;
      out = end();
    }

   private:
    /// As `put_doubled`.
    TORCH_ANS_FN void put(const Record& record) {
      const State high = multiply_high(twice_, record.reciprocal);
      const State early = behind(high, twice_);
      const State shift = select_below<State>(record.most, early, record.shift_less, record.shift);
      const State product = (high >> shift) * record.complement;
      const State twice = behind(product, early);
      const State x = twice >> 1;
      store(out_ + 4 * words_, static_cast<std::uint32_t>(x));
      State leaves;  // -1, or 0
      const State rest = select_below<State>(record.most, twice, 2 * (x >> 32), twice, leaves);
      words_ -= static_cast<std::int64_t>(leaves);
      twice_ = rest + record.start + product;
    }

    const Record* records_;
    State twice_;
    std::uint8_t* out_;
    std::int64_t words_ = 0;
  };
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
