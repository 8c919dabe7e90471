/// Portable backends: the meaning of the format, and already several rows in lockstep, so that a
/// CPU finds independent work while a lane waits for its own last step.
#pragma once

#include "cpu/prefetch_rows.h"
#include "cpu/tiles.h"
#include "torch_ans/coder.h"
#include "torch_ans/lookup.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// A few more elements than symbols, so that the rows of a tile do not fall into one set of the
/// cache.
struct ScalarTile {
  static constexpr int kTileSymbols = 256;
  static constexpr int kTileStride = kTileSymbols + 16;
  static constexpr int kStoreSlack = 8;
  static constexpr bool kInPlace = false;
};

/// Rows in lockstep whose states keep a core busy and stay in its registers.
constexpr int lockstep_rows(int lanes) { return lanes >= 4 ? 1 : 4 / lanes; }

/// Encoders, by what they know of a symbol. Lanes beyond `kMaxUnrolled` are looped over: their
/// states would not stay in registers, and code that is rarely run need not be large.
struct PutByRecord {
  static constexpr int kMaxUnrolled = 8;

  template <typename Traits>
  static TORCH_ANS_FN typename Traits::State put_id(const TablesView& tables,
                                                    typename Traits::State x, std::uint32_t id,
                                                    std::uint8_t*& out) {
    using Record = EncoderRecord<typename Traits::State>;
    return put<Traits>(x, static_cast<const Record*>(tables.records)[id], tables.freq_precision,
                       out);
  }
};

struct PutByDivision {
  static constexpr int kMaxUnrolled = 1;

  template <typename Traits>
  static TORCH_ANS_FN typename Traits::State put_id(const TablesView& tables,
                                                    typename Traits::State x, std::uint32_t id,
                                                    std::uint8_t*& out) {
    const std::uint32_t start = tables.cdf[id];
    return put<Traits>(x, start, tables.cdf[id + 1] - start, tables.freq_precision, out);
  }
};

/// For backends that TakePairs.
struct PutByPair {
  static constexpr int kMaxUnrolled = 8;

  template <typename Traits>
  static TORCH_ANS_FN typename Traits::State put_id(const TablesView& tables,
                                                    typename Traits::State x, SlotPair pair,
                                                    std::uint8_t*& out) {
    const std::uint32_t start = pair & 0xffff;
    const std::uint32_t freq = (((pair >> 16) - start - 1) & 0xffff) + 1;
    return put<Traits>(x, start, freq, tables.freq_precision, out);
  }
};

struct PutByAlias {
  static constexpr int kMaxUnrolled = 1;

  template <typename Traits>
  static TORCH_ANS_FN typename Traits::State put_id(const TablesView& tables,
                                                    typename Traits::State x, std::uint32_t id,
                                                    std::uint8_t*& out) {
    const std::size_t table = table_of_id(tables, id);
    const std::uint16_t* slots = tables.alias_slots + (table << tables.freq_precision);
    const std::uint32_t start = tables.cdf[id];
    return put_scattered<Traits>(x, start, tables.cdf[id + 1] - start, tables.freq_precision, slots,
                                 out);
  }
};

template <typename Traits, int kLanes, int kRows_, typename Put>
struct ScalarEncoder : ScalarTile {
  static constexpr int kRows = kRows_;
  static constexpr int kUnrolled = smaller(kLanes, Put::kMaxUnrolled);
  using State = typename Traits::State;

  static TORCH_ANS_FN IdFlags make_ids(const TablesView& tables, const TileSource& source,
                                       int count, std::uint32_t* ids) {
    return torch_ans::make_ids(tables, source.symbols, source.indexes, count, ids);
  }

  static TORCH_ANS_FN State put_id(const TablesView& tables, State x, std::uint32_t id,
                                   std::uint8_t*& out) {
    return Put::template put_id<Traits>(tables, x, id, out);
  }

  static void encode_groups(const TablesView& tables_view, State* states, std::uint8_t** outs,
                            const std::uint32_t* ids, int begin, int end) {
    const TablesView tables = tables_view;
    State x[kRows * kLanes];
    std::uint8_t* out[kRows];
    TORCH_ANS_UNROLL
    for (int k = 0; k < kRows * kLanes; ++k) x[k] = states[k];
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) out[r] = outs[r];
    for_each_id(ids, begin, end, [&](int r, int lane, std::uint32_t id) {
      State& state = x[r * kLanes + lane];
      state = put_id(tables, state, id, out[r]);
    });
    TORCH_ANS_UNROLL
    for (int k = 0; k < kRows * kLanes; ++k) states[k] = opaque(x[k]);
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) outs[r] = out[r];
  }

 protected:
  /// Calls `put(row, lane, id)` for groups end - 1 .. begin, lanes last to first.
  template <typename PutId>
  static TORCH_ANS_FN void for_each_id(const std::uint32_t* ids, int begin, int end,
                                       const PutId& put) {
    for (int group = end - 1; group >= begin; --group) {
      const std::uint32_t* group_ids = ids + group * kLanes;
      for (int first = kLanes - kUnrolled; first >= 0; first -= kUnrolled) {
        TORCH_ANS_UNROLL
        for (int lane = first + kUnrolled - 1; lane >= first; --lane) {
          TORCH_ANS_UNROLL
          for (int r = 0; r < kRows; ++r) put(r, lane, group_ids[r * kTileStride + lane]);
        }
      }
    }
  }
};

/// Decoders, by how they find a symbol. `sentinels` becomes nonzero at a table's last symbol.
template <typename Lookup>
struct FindDirectly {
  static constexpr int kMaxUnrolled = 1;

  template <typename Count>
  static TORCH_ANS_FN Match find(const TablesView& tables, const TableInfo& info,
                                 std::uint32_t slot, std::uint32_t& sentinels) {
    const Match match = Lookup::find(tables, info, slot);
    sentinels |= static_cast<std::uint32_t>(match.symbol == info.last);
    return match;
  }
};

/// Under bypass no bucket names a sentinel, so that only the slow path has to look for one.
struct FindByBucket {
  static constexpr int kMaxUnrolled = 8;

  template <typename Count>
  static TORCH_ANS_FN BasicMatch<Count> find(const TablesView& tables, const TableInfo& info,
                                             std::uint32_t slot, std::uint32_t& sentinels) {
    BasicMatch<Count> match = InverseCdf::find_fast<Count>(tables, info, slot);
    if (unlikely(match.rank >= match.freq)) {
      // One number comes back: a whole match would pass through memory on the fast path too.
      match.symbol = search(tables, info, slot);
      const std::uint32_t* cdf = tables.cdf + info.base + match.symbol;
      match.freq = cdf[1] - cdf[0];
      match.rank = slot - cdf[0];
      sentinels |= static_cast<std::uint32_t>(match.symbol == info.last);
    }
    return match;
  }

 private:
  /// Not inlined: it would take registers from the loops around it.
  static TORCH_ANS_COLD std::uint32_t search(const TablesView& tables, const TableInfo& info,
                                             std::uint32_t slot) {
    return InverseCdf::search_bucket(tables, info, slot);
  }
};

/// Which table decodes a symbol of row r, at t of the tile: the only one; what an index names.
struct OnlyTable {
  TORCH_ANS_FN std::uint32_t index(int /*r*/, int /*t*/) const { return 0; }
  TORCH_ANS_FN void ask_ahead(int /*t*/) const {}
  TORCH_ANS_FN void found(int /*r*/, int /*t*/, std::uint32_t /*symbol*/) const {}
};

template <int kStride>
struct IndexedTables {
  const std::int32_t* indexes;

  TORCH_ANS_FN std::uint32_t index(int r, int t) const {
    return static_cast<std::uint32_t>(indexes[r * kStride + t]);
  }

  /// For one row, in place: the next tile is looked at as a whole before it is decoded, and what
  /// is not in the caches by then, the states would wait for.
  TORCH_ANS_FN void ask_ahead(int t) const {
    prefetch(indexes + t + ScalarTile::kTileSymbols + kCacheLine / sizeof(*indexes));
  }
  TORCH_ANS_FN void found(int /*r*/, int /*t*/, std::uint32_t /*symbol*/) const {}
};

/// Calls `body` with what these indexes are as a source.
template <int kStride, typename Body>
int with_tables(const std::int32_t* const* indexes, const Body& body) {
  if (indexes == nullptr) return body(OnlyTable{});
  return body(IndexedTables<kStride>{indexes[0]});
}

template <typename Traits, int kLanes, int kRows_, typename Find>
struct ScalarDecoder : ScalarTile {
  static constexpr int kRows = kRows_;
  static constexpr bool kInPlace = kRows == 1;  ///< one stream, which hardware sees through
  static constexpr int kUnrolled = smaller(kLanes, Find::kMaxUnrolled);
  using State = typename Traits::State;

  static TORCH_ANS_FN Match find(const TablesView& tables, const TableInfo& info,
                                 std::uint32_t slot) {
    std::uint32_t sentinels = 0;
    return Find::template find<std::uint32_t>(tables, info, slot, sentinels);
  }

  static int decode_groups(const TablesView& tables, const TileRows<State>& rows, int begin,
                           int end, bool& escaped) {
    return with_tables<kTileStride>(rows.indexes, [&](const auto& source) {
      return decode(tables, source, rows, begin, end, escaped);
    });
  }

 protected:
  template <typename Source>
  static int decode(const TablesView& tables_view, const Source& source_given,
                    const TileRows<State>& rows, int begin, int end, bool& escaped) {
    const TablesView tables = tables_view;
    const Source source = source_given;
    std::int32_t* const symbols = rows.symbols[0];
    const int precision = tables.freq_precision;
    State x[kRows * kLanes];
    const std::uint8_t* in[kRows];
    TORCH_ANS_UNROLL
    for (int k = 0; k < kRows * kLanes; ++k) x[k] = rows.states[k];
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) in[r] = rows.in[r];
    std::uint32_t sentinels = 0;
    int group = begin;
    for (; group < end && sentinels == 0; ++group) {
      if constexpr (kRows == 1) source.ask_ahead(group * kLanes);
      for (int first = 0; first < kLanes; first += kUnrolled) {
        TORCH_ANS_UNROLL
        for (int lane = first; lane < first + kUnrolled; ++lane) {
          TORCH_ANS_UNROLL
          for (int r = 0; r < kRows; ++r) {
            const int t = group * kLanes + lane;
            State& state = x[r * kLanes + lane];
            const TableInfo& info = tables.info[source.index(r, t)];
            const auto match =
                Find::template find<State>(tables, info, slot_of(state, precision), sentinels);
            state = get<Traits>(state, match.freq, match.rank, precision, in[r]);
            symbols[r * kTileStride + t] = static_cast<std::int32_t>(match.symbol) + info.offset;
            source.found(r, t, match.symbol);
          }
        }
      }
      sentinels &= static_cast<std::uint32_t>(tables.bypass_coding);
    }
    escaped = sentinels != 0;
    TORCH_ANS_UNROLL
    for (int k = 0; k < kRows * kLanes; ++k) rows.states[k] = x[k];
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) rows.in[r] = in[r];
    return group;
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
