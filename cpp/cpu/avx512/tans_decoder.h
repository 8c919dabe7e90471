/// Pop of tANS with a row in each element of a vector: the lanes of a row share their bits, so that
/// only rows are independent.
#pragma once

#include "contexts.h"
#include "cpu/prefetch_rows.h"
#include "cpu/scalar/backends.h"
#include "cpu/tans_row.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// The bit buffers (`BitBuffer`) of sixteen rows, of up to 31 bits each.
template <int kStates>
class VectorBits {
 public:
  static constexpr int kLeast = 24;  ///< bits behind a refill

  TORCH_ANS_FN void load(const std::uint32_t* states, const std::uint8_t* base,
                         const std::uint8_t* const* in) {
    alignas(64) std::int32_t offsets[kVecSize];
    for (int r = 0; r < kVecSize; ++r) offsets[r] = static_cast<std::int32_t>(in[r] - base);
    base_ = base;
    offset_ = _mm512_load_si512(offsets);
    const Vec place = _mm512_mullo_epi32(iota(), splat(kStates));
    bits_ = _mm512_i32gather_epi32(place, states + kStates - 2, 4);
    count_ = _mm512_i32gather_epi32(place, states + kStates - 1, 4);
  }

  TORCH_ANS_FN void store(std::uint32_t* states, const std::uint8_t** in) const {
    alignas(64) std::int32_t offsets[kVecSize];
    alignas(64) std::uint32_t bits[kVecSize], counts[kVecSize];
    _mm512_store_si512(offsets, offset_);
    _mm512_store_si512(bits, bits_);
    _mm512_store_si512(counts, count_);
    for (int r = 0; r < kVecSize; ++r) {
      BitBuffer buffer{bits[r], counts[r]};
      const std::uint8_t* reached = base_ + offsets[r];
      buffer.give_back(reached, in[r]);
      in[r] = reached;
      states[r * kStates + kStates - 2] = static_cast<std::uint32_t>(buffer.bits);
      states[r * kStates + kStates - 1] = buffer.count;
    }
  }

  /// Loads 4 bytes below each row's cursor whatever it needs of them.
  TORCH_ANS_FN void refill() {
    const Vec fresh = _mm512_andnot_si512(splat(7), _mm512_sub_epi32(splat(31), count_));
    const Vec word = _mm512_i32gather_epi32(_mm512_sub_epi32(offset_, splat(4)), base_, 1);
    const Vec high = _mm512_srlv_epi32(word, _mm512_sub_epi32(splat(32), fresh));
    bits_ = _mm512_or_si512(_mm512_sllv_epi32(bits_, fresh), high);
    count_ = _mm512_add_epi32(count_, fresh);
    offset_ = _mm512_sub_epi32(offset_, _mm512_srli_epi32(fresh, 3));
  }

  /// The `n` highest bits, behind `before`.
  TORCH_ANS_FN Vec take_behind(Vec before, Vec n) {
    count_ = _mm512_sub_epi32(count_, n);
    const Vec others = _mm512_sllv_epi32(splat(0xffffffffu), n);
    const Vec fresh = _mm512_srlv_epi32(bits_, count_);
    // (before << n) | (fresh & ~others)
    return _mm512_ternarylogic_epi32(_mm512_sllv_epi32(before, n), fresh, others, 0xf4);
  }

 private:
  const std::uint8_t* base_;
  Vec offset_;  ///< of the rows' cursors from `base_`
  Vec bits_;
  Vec count_;
};

/// Where the table of a symbol comes from.
enum class TansTable { kOnly, kFew, kMany, kFollowing };

/// A tile of symbols, and which tables decode them.
template <int kRows>
struct TansJob : TileRows<std::uint32_t> {
  const TablesView tables;
  const VectorContexts<kRows, 1>* contexts;
  const FollowingTile<kRows, 1>* tile;
};

template <int kLanes, int kVectors>
class Avx512TansDecoder : public VectorRows<kVectors * kVecSize> {
 public:
  using Avx512TansDecoder::VectorRows::kRows;
  static constexpr bool kInPlace = true;
  using Job = TansJob<kRows>;

  static int decode_groups(const TablesView& tables, const TileRows<std::uint32_t>& rows, int begin,
                           int end, bool& escaped) {
    const Job job{rows, tables, nullptr, nullptr};
    if (rows.indexes == nullptr) return decode<TansTable::kOnly>(job, begin, end, escaped);
    if (tables.num_tables <= kFewTables) {
      return decode<TansTable::kFew>(job, begin, end, escaped);
    }
    return decode<TansTable::kMany>(job, begin, end, escaped);
  }

 protected:
  template <TansTable kTable>
  static int decode(const Job& job, int begin, int end, bool& escaped) {
    return 2 * job.tables.freq_precision <= Bits::kLeast ? run<kTable, 2>(job, begin, end, escaped)
                                                         : run<kTable, 1>(job, begin, end, escaped);
  }

 private:
  static constexpr int kStates = TansRow<kLanes>::kStates;
  /// Sixteen symbols of a row, or a group where that is longer.
  static constexpr int kRound = larger(kLanes, kVecSize);
  static constexpr int kRoundGroups = kRound / kLanes;
  using Bits = VectorBits<kStates>;

  struct Working {
    Vec x[kVectors][kLanes];
    Bits bits[kVectors];
    /// By position in the round: a row in each element.
    Vec indexes[kVectors][kRound];
    Vec symbols[kVectors][kRound];
  };

  /// `kPace`: symbols between two refills.
  template <TansTable kTable, int kPace>
  static int run(const Job& job, int begin, int end, bool& escaped) {
    Working w;
    const std::uint8_t* base = job.in[0];
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      std::uint32_t* own = job.states + v * kVecSize * kStates;
      const Vec place = _mm512_mullo_epi32(iota(), splat(kStates));
      for (int lane = 0; lane < kLanes; ++lane) {
        w.x[v][lane] = _mm512_i32gather_epi32(place, own + lane, 4);
      }
      for (int t = 0; t < kRound; ++t) w.indexes[v][t] = _mm512_setzero_si512();
      w.bits[v].load(own, base, job.in + v * kVecSize);
    }
    escaped = false;
    int group = begin;
    while (group < end && !escaped) {
      const int groups = smaller(kRoundGroups, end - group);
      if (job.indexes != nullptr) load_indexes(job, w, group * kLanes, groups * kLanes);
      int done = 0;
      for (; done < groups && !escaped; done += escaped ? 0 : 1) {
        escaped = !get_group<kTable, kPace>(job, w, group * kLanes, done);
      }
      store_symbols<kTable>(job, w, group * kLanes, done * kLanes);
      group += done;
    }
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      std::uint32_t* own = job.states + v * kVecSize * kStates;
      const Vec place = _mm512_mullo_epi32(iota(), splat(kStates));
      for (int lane = 0; lane < kLanes; ++lane) {
        _mm512_i32scatter_epi32(own + lane, place, w.x[v][lane], 4);
      }
      w.bits[v].store(own, job.in + v * kVecSize);
    }
    prefetch_words<kRows>(job.in, (end - begin) * kLanes);
    return group;
  }

  /// Group `number` of a round that starts at `first` of the tile. False: it holds a sentinel, and
  /// is left alone. A symbol is known from its state before a bit is read.
  template <TansTable kTable, int kPace>
  static TORCH_ANS_FN bool get_group(const Job& job, Working& w, int first, int number) {
    const int precision = job.tables.freq_precision;
    // States count from 2^precision.
    const std::uint32_t* slots = job.tables.tans_slots - (std::size_t{1} << precision);
    Vec entries[kVectors][kLanes];
    Vec all = _mm512_setzero_si512();
    for (int lane = 0; lane < kLanes; ++lane) {
      const int t = number * kLanes + lane;
      TORCH_ANS_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        Vec place = w.x[v][lane];
        if constexpr (kTable != TansTable::kOnly) {
          const Vec index = table_of<kTable>(job, w, v, first, t);
          place = _mm512_add_epi32(place, _mm512_sll_epi32(index, _mm_cvtsi32_si128(precision)));
        }
        entries[v][lane] = _mm512_i32gather_epi32(place, slots, 4);
        all = _mm512_or_si512(all, entries[v][lane]);
      }
    }
    if (job.tables.bypass_coding && _mm512_test_epi32_mask(all, splat(kTansSentinel)) != 0) {
      return false;
    }
    const Vec few_zeros = splat(static_cast<std::uint32_t>(kTansMaxFreqPrecision - precision));
    for (int lane = 0; lane < kLanes; ++lane) {
      const int t = number * kLanes + lane;
      TORCH_ANS_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        if (t % kPace == 0) w.bits[v].refill();
        const Vec entry = entries[v][lane];
        const Vec n = _mm512_sub_epi32(_mm512_lzcnt_epi32(entry), few_zeros);
        w.x[v][lane] = w.bits[v].take_behind(_mm512_srli_epi32(entry, 16), n);
        const Vec symbol = _mm512_and_si512(entry, splat(0xffff));
        if constexpr (kTable == TansTable::kFollowing) {
          VectorContexts<kRows, 1>::found(place_of(job, v, first + t), symbol);
        }
        w.symbols[v][t] = _mm512_add_epi32(symbol, offsets_of<kTable>(job, w.indexes[v][t]));
      }
    }
    return true;
  }

  static TORCH_ANS_FN std::uint16_t* place_of(const Job& job, int v, int t) {
    return job.tile->history.at(v * kVecSize, job.tile->first + t);
  }

  /// Of the symbols at `t` of the round. Following, the table takes the place of its base.
  template <TansTable kTable>
  static TORCH_ANS_FN Vec table_of(const Job& job, Working& w, int v, int first, int t) {
    Vec& index = w.indexes[v][t];
    if constexpr (kTable != TansTable::kFollowing) return index;
    const Vec base = job.indexes == nullptr ? _mm512_setzero_si512() : index;
    index = job.contexts->tables(job.contexts->entries(base, place_of(job, v, first + t)));
    return index;
  }

  template <TansTable kTable>
  static TORCH_ANS_FN Vec offsets_of(const Job& job, Vec index) {
    const std::int32_t* offsets = job.tables.offsets;
    if constexpr (kTable == TansTable::kOnly) return _mm512_set1_epi32(offsets[0]);
    if constexpr (kTable == TansTable::kFew) return pick<TableCount::kFew>(offsets, index);
    if (kTable == TansTable::kFollowing && job.tile->one_offset) {
      return _mm512_set1_epi32(offsets[0]);
    }
    return pick<TableCount::kMany>(offsets, index);
  }

  /// The first elements of sixteen that are below `count`, from `part` on.
  static TORCH_ANS_FN __mmask16 elements_of(int count, int part) {
    return static_cast<__mmask16>(
        _bzhi_u32(0xffff, static_cast<unsigned>(larger(count - part, 0))));
  }

  static TORCH_ANS_FN void load_indexes(const Job& job, Working& w, int first, int count) {
    for (int v = 0; v < kVectors; ++v) {
      for (int part = 0; part < kRound; part += kVecSize) {
        TORCH_ANS_UNROLL
        for (int r = 0; r < kVecSize; ++r) {
          const std::int32_t* place = job.indexes[v * kVecSize + r] + first + part;
          w.indexes[v][part + r] = _mm512_maskz_loadu_epi32(elements_of(count, part), place);
          prefetch_to_read(place);
        }
        transpose_blocks<1>(w.indexes[v] + part);
      }
    }
  }

  template <TansTable kTable>
  static TORCH_ANS_FN void store_symbols(const Job& job, Working& w, int first, int count) {
    for (int v = 0; v < kVectors; ++v) {
      for (int part = 0; part < kRound; part += kVecSize) {
        transpose_blocks<1>(w.symbols[v] + part);
        TORCH_ANS_UNROLL
        for (int r = 0; r < kVecSize; ++r) {
          std::int32_t* place = job.symbols[v * kVecSize + r] + first + part;
          _mm512_mask_storeu_epi32(place, elements_of(count, part), w.symbols[v][part + r]);
          prefetch_to_write(place);
        }
      }
    }
  }
};

template <int kLanes, int kVectors>
class Avx512TansContextDecoder : public Avx512TansDecoder<kLanes, kVectors>, public FollowsSymbols {
  using Base = Avx512TansDecoder<kLanes, kVectors>;

 public:
  using Base::kRows;
  static constexpr int kHistoryBlock = 1;

  static int decode_groups(const FollowingTile<kRows, 1>& tile, const TileRows<std::uint32_t>& rows,
                           int begin, int end, bool& escaped) {
    const VectorContexts<kRows, 1> contexts(tile.history.index().task());
    const typename Base::Job job{rows, tile.tables, &contexts, &tile};
    return Base::template decode<TansTable::kFollowing>(job, begin, end, escaped);
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
