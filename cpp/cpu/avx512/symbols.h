/// From symbols and indexes to slots, for AVX-512: what an encoder can do ahead of its states.
#pragma once

#include "cpu/scalar/backends.h"
#include "cpu/tiles.h"
#include "vectors.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// What is needed of sixteen symbols' tables.
struct TableColumns {
  Vec base;
  Vec offset;
  Vec limit;  ///< the number of symbols coded directly
};

/// A column of up to 64 tables, in registers.
template <TableCount kCount>
class Column {
 public:
  TORCH_ANS_FN explicit Column(const void* column) {
    if constexpr (kCount == TableCount::kOne) {
      part_[0] = splat(load<std::uint32_t>(column));
    } else {
      const auto* quarters = static_cast<const Vec*>(column);
      TORCH_ANS_UNROLL
      for (int q = 0; q < 4; ++q) part_[q] = _mm512_loadu_si512(quarters + q);
    }
  }

  /// An index of 64 or more picks another entry.
  TORCH_ANS_FN Vec pick(Vec index) const {
    if constexpr (kCount == TableCount::kOne) {
      return part_[0];
    } else {
      const Vec low = _mm512_permutex2var_epi32(part_[0], index, part_[1]);
      const Vec high = _mm512_permutex2var_epi32(part_[2], index, part_[3]);
      return _mm512_mask_mov_epi32(low, _mm512_test_epi32_mask(index, splat(32)), high);
    }
  }

 private:
  Vec part_[kCount == TableCount::kOne ? 1 : 4];
};

template <TableCount kCount>
class TablePicker {
 public:
  TORCH_ANS_FN explicit TablePicker(const TablesView& tables)
      : bases_(tables.bases), offsets_(tables.offsets), limits_(tables.limits) {}

  TORCH_ANS_FN TableColumns pick(Vec index) const {
    return {bases_.pick(index), offsets_.pick(index), limits_.pick(index)};
  }

 private:
  Column<kCount> bases_;
  Column<kCount> offsets_;
  Column<kCount> limits_;
};

/// Any number of tables: sixteen 16-byte loads and a transposition, as gathers take much longer.
template <>
class TablePicker<TableCount::kMany> {
 public:
  TORCH_ANS_FN explicit TablePicker(const TablesView& tables)
      : info_(tables.info), direct_(splat(tables.bypass_coding ? 0 : 1)) {}

  TORCH_ANS_FN TableColumns pick(Vec index) const {
    static_assert(sizeof(TableInfo) == 16, "one load a table");
    alignas(64) std::uint32_t indexes[kVecSize];
    _mm512_store_si512(indexes, index);
    const Vec r0 = load_infos(indexes);
    const Vec r1 = load_infos(indexes + 1);
    const Vec r2 = load_infos(indexes + 2);
    const Vec r3 = load_infos(indexes + 3);
    const Vec front01 = _mm512_unpacklo_epi32(r0, r1);  // base, base, offset, offset
    const Vec front23 = _mm512_unpacklo_epi32(r2, r3);
    const Vec last_shift =
        _mm512_unpackhi_epi64(_mm512_unpackhi_epi32(r0, r1), _mm512_unpackhi_epi32(r2, r3));
    const Vec last = _mm512_and_si512(last_shift, splat(0xffff));
    return {_mm512_unpacklo_epi64(front01, front23), _mm512_unpackhi_epi64(front01, front23),
            _mm512_add_epi32(last, direct_)};
  }

 private:
  /// Tables 0, 4, 8 and 12 of those in `indexes`.
  TORCH_ANS_FN Vec load_infos(const std::uint32_t* indexes) const {
    Vec infos = _mm512_broadcast_i32x4(load_info(indexes[0]));
    infos = _mm512_mask_broadcast_i32x4(infos, 0x00f0, load_info(indexes[4]));
    infos = _mm512_mask_broadcast_i32x4(infos, 0x0f00, load_info(indexes[8]));
    return _mm512_mask_broadcast_i32x4(infos, 0xf000, load_info(indexes[12]));
  }

  TORCH_ANS_FN __m128i load_info(std::uint32_t index) const {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(info_ + index));
  }

  const TableInfo* info_;
  Vec direct_;
};

/// Up to 32 kPairs tables that are alike but for their bases.
template <int kPairs>
class AlikePicker {
 public:
  TORCH_ANS_FN explicit AlikePicker(const TablesView& tables)
      : offset_(splat(static_cast<std::uint32_t>(tables.offsets[0]))),
        limit_(splat(tables.limits[0])) {
    const auto* bases = reinterpret_cast<const Vec*>(tables.bases);
    TORCH_ANS_UNROLL
    for (int k = 0; k < 2 * kPairs; ++k) bases_[k] = _mm512_loadu_si512(bases + k);
  }

  TORCH_ANS_FN TableColumns pick(Vec index) const {
    return {pick_base<kPairs>(bases_, index), offset_, limit_};
  }

 private:
  template <int kLeft>
  static TORCH_ANS_FN Vec pick_base(const Vec* bases, Vec index) {
    if constexpr (kLeft == 1) {
      return _mm512_permutex2var_epi32(bases[0], index, bases[1]);
    } else {
      const Vec low = pick_base<kLeft / 2>(bases, index);
      const Vec high = pick_base<kLeft / 2>(bases + kLeft, index);
      return _mm512_mask_mov_epi32(low, _mm512_test_epi32_mask(index, splat(16 * kLeft)), high);
    }
  }

  Vec bases_[2 * kPairs];
  Vec offset_;
  Vec limit_;
};

/// Any number of them.
template <>
class AlikePicker<0> {
 public:
  TORCH_ANS_FN explicit AlikePicker(const TablesView& tables)
      : bases_(tables.bases),
        offset_(splat(static_cast<std::uint32_t>(tables.offsets[0]))),
        limit_(splat(tables.limits[0])) {}

  TORCH_ANS_FN TableColumns pick(Vec index) const {
    return {_mm512_i32gather_epi32(index, bases_, 4), offset_, limit_};
  }

 private:
  const std::uint32_t* bases_;
  Vec offset_;
  Vec limit_;
};

/// `make_ids` of tiles.h. The id of a symbol with a bad index is 0.
template <typename Picker>
class IdMaker {
 public:
  TORCH_ANS_FN explicit IdMaker(const TablesView& tables)
      : picker_(tables),
        num_tables_(splat(tables.num_tables)),
        direct_(splat(tables.bypass_coding ? 0 : 1)) {}

  /// Writes whole vectors: up to 15 ids more than asked for.
  template <bool kBackwards>
  TORCH_ANS_FN IdFlags make_all(const TileSource& source, int count, std::uint32_t* ids) {
    const int whole = count / kVecSize * kVecSize;
    if (whole < count) {
      const auto present = static_cast<__mmask16>((1u << (count - whole)) - 1);
      const Vec index = source.indexes == nullptr
                            ? splat(0)
                            : _mm512_maskz_loadu_epi32(present, source.indexes + whole);
      make(_mm512_maskz_loadu_epi32(present, source.symbols + whole), index, present, ids + whole);
    }
    for (int done = 0; done < whole; done += kVecSize) {
      const int t = kBackwards ? whole - kVecSize - done : done;
      source.prefetch_next(t);
      const Vec index =
          source.indexes == nullptr ? splat(0) : _mm512_loadu_si512(source.indexes + t);
      make(_mm512_loadu_si512(source.symbols + t), index, 0xffff, ids + t);
    }
    return {bad_index_ != 0, outside_ != 0};
  }

 private:
  TORCH_ANS_FN void make(Vec symbol, Vec index, __mmask16 present, std::uint32_t* ids) {
    const __mmask16 good = _mm512_cmplt_epu32_mask(index, num_tables_);
    bad_index_ = static_cast<__mmask16>(bad_index_ | ~good);
    const TableColumns table = picker_.pick(_mm512_maskz_mov_epi32(good, index));
    const Vec v = _mm512_sub_epi32(symbol, table.offset);
    const Vec last = _mm512_sub_epi32(table.limit, direct_);
    const __mmask16 outside = _mm512_mask_cmpge_epu32_mask(present, v, table.limit);
    outside_ = static_cast<__mmask16>(outside_ | outside);
    const Vec id = _mm512_add_epi32(table.base, _mm512_min_epu32(v, last));
    _mm512_storeu_si512(ids, _mm512_maskz_mov_epi32(good, id));
  }

  Picker picker_;
  Vec num_tables_;
  Vec direct_;
  __mmask16 bad_index_ = 0;
  __mmask16 outside_ = 0;
};

/// The slots of four symbols in every fourth element each, from the first on.
TORCH_ANS_FN Vec load_four_pairs(const std::uint16_t* cdf16, const std::uint32_t* ids) {
  const auto low = load<std::uint64_t>(ids);
  const auto high = load<std::uint64_t>(ids + 2);
  const auto pair = [cdf16](std::uint64_t id) { return splat(load<std::uint32_t>(cdf16 + id)); };
  Vec pairs = pair(static_cast<std::uint32_t>(low));
  pairs = _mm512_mask_mov_epi32(pairs, 0x2222, pair(low >> 32));
  pairs = _mm512_mask_mov_epi32(pairs, 0x4444, pair(static_cast<std::uint32_t>(high)));
  return _mm512_mask_mov_epi32(pairs, 0x8888, pair(high >> 32));
}

/// Replaces sixteen ids by the slots of their symbols. Loaded one by one, which takes half as long
/// as a gather; ids that are read back at once would wait for their own store.
TORCH_ANS_FN void load_pairs(const std::uint16_t* cdf16, std::uint32_t* ids) {
  Vec quarter[4];
  TORCH_ANS_UNROLL
  for (int q = 0; q < 4; ++q) quarter[q] = load_four_pairs(cdf16, ids + 4 * q);
  const Vec low = _mm512_mask_mov_epi32(quarter[0], 0xf0f0, quarter[1]);
  const Vec high = _mm512_mask_mov_epi32(quarter[2], 0xf0f0, quarter[3]);
  _mm512_storeu_si512(ids, _mm512_mask_mov_epi32(low, 0xff00, high));
}

/// All the tables' CDFs in registers, where 256 ids name their symbols: one table of bytes, say.
class SmallCdf {
 public:
  static TORCH_ANS_FN bool fits(const TablesView& tables) { return tables.num_ids <= 32 * kParts; }

  TORCH_ANS_FN explicit SmallCdf(const TablesView& tables) {
    TORCH_ANS_UNROLL
    for (int part = 0; part < kParts; ++part) {
      // The CDF is padded for loads past its end.
      const bool used = static_cast<std::uint32_t>(32 * part) < tables.num_ids;
      const std::uint16_t* first = tables.cdf16 + (used ? 32 * part : 0);
      starts_[part] = _mm512_loadu_si512(first);
      ends_[part] = _mm512_loadu_si512(first + 1);
    }
  }

  /// The slots of 32 symbols.
  TORCH_ANS_FN void make_pairs(Vec first, Vec second, SlotPair* pairs) const {
    constexpr __mmask32 kOdd = 0xaaaaaaaa;
    const Vec id = _mm512_mask_mov_epi16(first, kOdd, _mm512_slli_epi32(second, 16));
    const Vec start = pick(starts_, id);
    const Vec end = pick(ends_, id);
    _mm512_storeu_si512(pairs, _mm512_mask_mov_epi16(start, kOdd, _mm512_slli_epi32(end, 16)));
    _mm512_storeu_si512(pairs + kVecSize,
                        _mm512_mask_mov_epi16(end, ~kOdd, _mm512_srli_epi32(start, 16)));
  }

 private:
  static constexpr int kParts = 8;

  static TORCH_ANS_FN Vec pick(const Vec* parts, Vec id) {
    Vec quarter[4];
    TORCH_ANS_UNROLL
    for (int q = 0; q < 4; ++q) {
      quarter[q] = _mm512_permutex2var_epi16(parts[2 * q], id, parts[2 * q + 1]);
    }
    const __mmask32 odd_quarter = _mm512_test_epi16_mask(id, _mm512_set1_epi16(64));
    const __mmask32 upper_half = _mm512_test_epi16_mask(id, _mm512_set1_epi16(128));
    const Vec low = _mm512_mask_mov_epi16(quarter[0], odd_quarter, quarter[1]);
    const Vec high = _mm512_mask_mov_epi16(quarter[2], odd_quarter, quarter[3]);
    return _mm512_mask_mov_epi16(low, upper_half, high);
  }

  Vec starts_[kParts];
  Vec ends_[kParts];
};

template <typename Picker, bool kBackwards>
TORCH_ANS_FN IdFlags make_ids(const TablesView& tables, const TileSource& source, int count,
                              std::uint32_t* ids) {
  return IdMaker<Picker>(tables).template make_all<kBackwards>(source, count, ids);
}

template <bool kBackwards>
TORCH_ANS_FN IdFlags make_alike_ids(const TablesView& tables, const TileSource& source, int count,
                                    std::uint32_t* ids) {
  if (tables.num_tables <= 64) {
    return make_ids<AlikePicker<2>, kBackwards>(tables, source, count, ids);
  }
  if (tables.num_tables <= 128) {
    return make_ids<AlikePicker<4>, kBackwards>(tables, source, count, ids);
  }
  return make_ids<AlikePicker<0>, kBackwards>(tables, source, count, ids);
}

/// Not inlined, like what follows: every encoder has them.
template <bool kBackwards>
TORCH_ANS_NOINLINE IdFlags make_ids(const TablesView& tables, const TileSource& source, int count,
                                    std::uint32_t* ids) {
  using One = TablePicker<TableCount::kOne>;
  using Few = TablePicker<TableCount::kFew>;
  using Many = TablePicker<TableCount::kMany>;
  return tables.num_tables == 1            ? make_ids<One, kBackwards>(tables, source, count, ids)
         : tables.alike                    ? make_alike_ids<kBackwards>(tables, source, count, ids)
         : tables.num_tables <= kFewTables ? make_ids<Few, kBackwards>(tables, source, count, ids)
                                           : make_ids<Many, kBackwards>(tables, source, count, ids);
}

/// Replaces ids by the slots of their symbols, in whole vectors: up to 31 more than asked for.
TORCH_ANS_NOINLINE inline void ids_to_pairs(const TablesView& tables, int count,
                                            std::uint32_t* ids) {
  if (SmallCdf::fits(tables)) {
    const SmallCdf cdf(tables);
    for (int t = 0; t < count; t += 2 * kVecSize) {
      cdf.make_pairs(_mm512_loadu_si512(ids + t), _mm512_loadu_si512(ids + t + kVecSize), ids + t);
    }
  } else {
    for (int t = 0; t < count; t += kVecSize) load_pairs(tables.cdf16, ids + t);
  }
}

TORCH_ANS_FN Vec load_symbols(const std::int32_t* symbols) { return _mm512_loadu_si512(symbols); }
TORCH_ANS_FN Vec load_symbols(const std::uint8_t* bytes) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
}

/// The pairs of symbols of the only table, without ids; writes whole vectors. `indexes`, or null,
/// should name it. False: that takes more.
template <bool kBackwards, typename Symbol, typename Source>
TORCH_ANS_NOINLINE bool make_pairs_of(const TablesView& tables, const Symbol* symbols,
                                      const std::int32_t* indexes, const Source& source, int count,
                                      SlotPair* pairs) {
  if (!SmallCdf::fits(tables)) return false;
  constexpr int kStep = 2 * kVecSize;
  const SmallCdf cdf(tables);
  const Vec offset = splat(static_cast<std::uint32_t>(tables.offsets[0]));
  const Vec limit = splat(tables.limits[0]);
  __mmask16 outside = 0;
  Vec others = splat(0);  // bits of indexes
  const int past = (count + kStep - 1) / kStep * kStep;
  for (int done = 0; done < past; done += kStep) {
    const int t = kBackwards ? past - kStep - done : done;
    source.prefetch_next(t);
    source.prefetch_next(t + kVecSize);
    const Symbol* of = symbols + t;
    Symbol padded[kStep];
    if (unlikely(count - t < kStep)) {
      if (indexes != nullptr && !all_name_tables(indexes + t, count - t, 1)) return false;
      for (int k = 0; k < kStep; ++k) padded[k] = symbols[smaller(t + k, count - 1)];
      of = padded;
    } else if (indexes != nullptr) {
      const Vec some = _mm512_or_si512(others, _mm512_loadu_si512(indexes + t));
      others = _mm512_or_si512(some, _mm512_loadu_si512(indexes + t + kVecSize));
    }
    const Vec first = _mm512_sub_epi32(load_symbols(of), offset);
    const Vec second = _mm512_sub_epi32(load_symbols(of + kVecSize), offset);
    const Vec most = _mm512_max_epu32(first, second);
    outside = static_cast<__mmask16>(outside | _mm512_cmpge_epu32_mask(most, limit));
    cdf.make_pairs(first, second, pairs + t);
  }
  return outside == 0 && _mm512_test_epi32_mask(others, others) == 0;
}

/// How an encoder of kRows rows comes to the slots of a tile's symbols (tile_ids.h).
template <typename Traits, int kRows>
struct VectorPairs : TakesPairs, TakesBytes {
  using State = typename Traits::State;

  /// Writes whole vectors, as above.
  static TORCH_ANS_FN IdFlags make_pairs(const TablesView& tables, const TileSource& source,
                                         int count, SlotPair* pairs) {
    // A few rows are walked backwards, as their tiles are: then hardware sees where they lead.
    constexpr bool kBackwards = kRows <= 4;
    if (tables.num_tables == 1 &&
        make_pairs_of<kBackwards>(tables, source.symbols, source.indexes, source, count, pairs)) {
      return {false, false};
    }
    const IdFlags flags = make_ids<kBackwards>(tables, source, count, pairs);
    torch_ans::ids_to_pairs(tables, count, pairs);
    return flags;
  }

  /// The same of bytes of the only table. False: one is outside.
  static TORCH_ANS_FN bool make_byte_pairs(const TablesView& tables, const std::uint8_t* bytes,
                                           int count, SlotPair* pairs) {
    return make_pairs_of<false>(tables, bytes, nullptr, NothingAhead{}, count, pairs);
  }

  static TORCH_ANS_FN void ids_to_pairs(const TablesView& tables, int count, std::uint32_t* ids) {
    _mm512_storeu_si512(ids + count, _mm512_setzero_si512());  // ids for all of the last vector
    torch_ans::ids_to_pairs(tables, count, ids);
  }

  static TORCH_ANS_FN State put_id(const TablesView& tables, State x, SlotPair pair,
                                   std::uint8_t*& out) {
    return PutByPair::put_id<Traits>(tables, x, pair, out);
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
