/// tANS without vectors: several rows in lockstep, bits in a register of each row. Compiled for the
/// baseline and, for its shifts by any count, for AVX2 machines.
#pragma once

#include "backends.h"
#include "context_decoder.h"
#include "cpu/tans_row.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Symbols of up to `kMaxPrecision` bits that a buffer takes between two visits to memory: 7 bits
/// may be left in it, and it holds 63.
template <bool kWide>
struct TansPace {
  static constexpr int kSymbols = kWide ? 2 : 4;
  static constexpr int kMaxPrecision = kWide ? 15 : 14;
  static_assert(kSymbols * kMaxPrecision + 7 <= 63, "the buffer holds them");
};

template <int kLanes, int kRows_>
struct TansShape : ScalarTile {
  static constexpr int kRows = kRows_;
  static constexpr int kStates = TansRow<kLanes>::kStates;
  /// Lanes beyond these are looped over.
  static constexpr int kUnrolled = smaller(kLanes, 8);
};

template <int kLanes, int kRows_>
struct TansEncoder : TansShape<kLanes, kRows_> {
  using Shape = TansShape<kLanes, kRows_>;
  using Shape::kRows, Shape::kStates, Shape::kTileStride, Shape::kUnrolled;
  using Row = TansRow<kLanes>;
  static constexpr int kStoreSlack = 16;

  static TORCH_ANS_FN IdFlags make_ids(const TablesView& tables, const TileSource& source,
                                       int count, std::uint32_t* ids) {
    return torch_ans::make_ids(tables, source.symbols, source.indexes, count, ids);
  }

  static void encode_groups(const TablesView& tables, std::uint32_t* states, std::uint8_t** outs,
                            const std::uint32_t* ids, int begin, int end) {
    if (tables.freq_precision > TansPace<false>::kMaxPrecision) {
      encode<true>(tables, states, outs, ids, begin, end);
    } else {
      encode<false>(tables, states, outs, ids, begin, end);
    }
  }

 private:
  template <bool kWide>
  static void encode(const TablesView& tables_view, std::uint32_t* states, std::uint8_t** outs,
                     const std::uint32_t* ids, int begin, int end) {
    constexpr int kBatch = smaller(kUnrolled, TansPace<kWide>::kSymbols);
    constexpr int kGroups = TansPace<kWide>::kSymbols / kBatch;  // of one flush
    const TablesView tables = tables_view;
    std::uint32_t x[kRows * kLanes];
    BitBuffer buffer[kRows];
    std::uint8_t* out[kRows];
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) {
      TORCH_ANS_UNROLL
      for (int lane = 0; lane < kLanes; ++lane) x[r * kLanes + lane] = states[r * kStates + lane];
      buffer[r] = Row::load_buffer(states + r * kStates);
      out[r] = outs[r];
    }
    const auto flush = [&] {
      TORCH_ANS_UNROLL
      for (int r = 0; r < kRows; ++r) buffer[r].flush(out[r]);
    };
    const auto put_group = [&](int group) {
      const std::uint32_t* group_ids = ids + group * kLanes;
      for (int past = kLanes; past > 0; past -= kUnrolled) {
        TORCH_ANS_UNROLL
        for (int k = 1; k <= kUnrolled; ++k) {
          TORCH_ANS_UNROLL
          for (int r = 0; r < kRows; ++r) {
            std::uint32_t& state = x[r * kLanes + past - k];
            state = tans_put(tables, state, group_ids[r * kTileStride + past - k], buffer[r]);
          }
          if (k % kBatch == 0 && kLanes > kBatch) flush();
        }
      }
    };
    flush();
    int group = end;
    for (; group - kGroups >= begin; group -= kGroups) {
      TORCH_ANS_UNROLL
      for (int g = 1; g <= kGroups; ++g) put_group(group - g);
      flush();
    }
    while (group > begin) {
      put_group(--group);
      flush();
    }
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) {
      TORCH_ANS_UNROLL
      for (int lane = 0; lane < kLanes; ++lane) states[r * kStates + lane] = x[r * kLanes + lane];
      Row::store_buffer(states + r * kStates, buffer[r]);
      outs[r] = out[r];
    }
  }
};

template <int kLanes, int kRows_>
struct TansDecoder : TansShape<kLanes, kRows_> {
  using Shape = TansShape<kLanes, kRows_>;
  using Shape::kRows, Shape::kStates, Shape::kTileStride, Shape::kUnrolled;
  using Row = TansRow<kLanes>;

  static int decode_groups(const TablesView& tables, const TileRows<std::uint32_t>& rows, int begin,
                           int end, bool& escaped) {
    return with_tables<kTileStride>(rows.indexes, [&](const auto& source) {
      return decode(tables, source, rows, begin, end, escaped);
    });
  }

 protected:
  template <typename Source>
  static int decode(const TablesView& tables, const Source& source,
                    const TileRows<std::uint32_t>& rows, int begin, int end, bool& escaped) {
    return tables.freq_precision > TansPace<false>::kMaxPrecision
               ? run<true>(tables, source, rows, begin, end, escaped)
               : run<false>(tables, source, rows, begin, end, escaped);
  }

 private:
  /// A symbol is known from its state before a bit is read: the entries of a group come first,
  /// and where one is a sentinel, the group is left to the driver.
  template <bool kWide, typename Source>
  static int run(const TablesView& tables, const Source& source_given,
                 const TileRows<std::uint32_t>& rows, int begin, int end, bool& escaped) {
    const Source source = source_given;
    std::uint32_t* const states = rows.states;
    std::int32_t* const symbols = rows.symbols[0];
    constexpr int kBatch = smaller(kUnrolled, TansPace<kWide>::kSymbols);
    constexpr int kGroups = TansPace<kWide>::kSymbols / kBatch;  // of one refill
    const int precision = tables.freq_precision;
    const std::uint32_t size = std::uint32_t{1} << precision;
    const std::uint32_t* slots = tables.tans_slots;
    const std::int32_t* offsets = tables.offsets;
    std::uint32_t x[kRows * kLanes];  // slots, not states: below `size`
    BitBuffer buffer[kRows];
    const std::uint8_t* in[kRows];
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) {
      TORCH_ANS_UNROLL
      for (int lane = 0; lane < kLanes; ++lane) {
        x[r * kLanes + lane] = states[r * kStates + lane] - size;
      }
      buffer[r] = Row::load_buffer(states + r * kStates);
      in[r] = rows.in[r];
    }
    const auto refill = [&] {
      TORCH_ANS_UNROLL
      for (int r = 0; r < kRows; ++r) buffer[r].refill(in[r]);
    };
    /// False: the group holds a sentinel.
    const auto get_group = [&](int group) {
      std::uint32_t all = 0;
      std::uint32_t entries[kRows * kLanes];
      std::uint32_t index[kRows * kLanes];
      for (int first = 0; first < kLanes; first += kUnrolled) {
        TORCH_ANS_UNROLL
        for (int lane = first; lane < first + kUnrolled; ++lane) {
          TORCH_ANS_UNROLL
          for (int r = 0; r < kRows; ++r) {
            const int k = r * kLanes + lane;
            index[k] = source.index(r, group * kLanes + lane);
            entries[k] = slots[(std::size_t{index[k]} << precision) + x[k]];
            all |= entries[k];
          }
        }
      }
      if (unlikely((all & kTansSentinel) != 0)) return false;
      for (int first = 0; first < kLanes; first += kUnrolled) {
        TORCH_ANS_UNROLL
        for (int k = 0; k < kUnrolled; ++k) {
          const int lane = first + k;
          if (k % kBatch == 0 && kLanes > kBatch) refill();
          TORCH_ANS_UNROLL
          for (int r = 0; r < kRows; ++r) {
            const int t = group * kLanes + lane;
            const std::uint32_t entry = entries[r * kLanes + lane];
            const std::uint32_t symbol = entry & 0xffff;
            x[r * kLanes + lane] = tans_get(entry, precision, buffer[r]) - size;
            symbols[r * kTileStride + t] =
                static_cast<std::int32_t>(symbol) + offsets[index[r * kLanes + lane]];
            source.found(r, t, symbol);
          }
        }
      }
      return true;
    };
    int group = begin;
    escaped = false;
    while (group < end && !escaped) {
      const int past = smaller(group + kGroups, end);
      if (kLanes <= kBatch) refill();
      for (; group < past && !escaped; group += escaped ? 0 : 1) escaped = !get_group(group);
    }
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) {
      TORCH_ANS_UNROLL
      for (int lane = 0; lane < kLanes; ++lane) {
        states[r * kStates + lane] = x[r * kLanes + lane] + size;
      }
      buffer[r].give_back(in[r], rows.in[r]);
      Row::store_buffer(states + r * kStates, buffer[r]);
      rows.in[r] = in[r];
    }
    return group;
  }
};

template <int kLanes, int kRows_>
struct TansContextDecoder : TansDecoder<kLanes, kRows_>, FollowsSymbols {
  using Base = TansDecoder<kLanes, kRows_>;
  using Base::kRows;
  static constexpr int kHistoryBlock = 1;

  static int decode_groups(const FollowingTile<kRows, kHistoryBlock>& tile,
                           const TileRows<std::uint32_t>& rows, int begin, int end, bool& escaped) {
    const GroupTables<kRows> following(tile, rows.indexes);
    return Base::decode(tile.tables, following, rows, begin, end, escaped);
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
