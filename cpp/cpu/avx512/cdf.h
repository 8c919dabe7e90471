/// A float32 CDF for each symbol, for AVX-512: the symbols of sixteen slots.
///
/// C(i) <= slot says floor(spread * F(i)) <= slot - leak * i, or F(i) < (slot + 1 - leak * i) /
/// spread: a comparison of the floats as they are. Its right side is rounded here, so how many
/// edges pass is a guess, wrong once in hundreds of symbols; the exact edges of the symbol decide.
/// Where that guess fails, or sees that the CDF decreases, the symbol is that of a search.
#pragma once

#include "models.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

class FloatCdfVectors {
  using Scalar = CdfModel<float>;
  static constexpr int kAheadBytes = 2048;

 public:
  /// Rows longer than that are searched: to read less whole is faster, as what a search reads
  /// cannot be asked for beforehand.
  static constexpr std::uint32_t kMostSymbols = 512;

  TORCH_ANS_FN explicit FloatCdfVectors(const Model& model)
      : edges_(Edges(model)),
        model_(model),
        rows_(static_cast<const float*>(model.values[0])),
        stride_(model.strides[0]),
        num_symbols_(static_cast<int>(model.num_symbols)) {
    const Edges limits(model);
    per_slot_ = 1.0f / static_cast<float>(larger(limits.spread, 1u));
    leak_ = static_cast<float>(limits.leak) * per_slot_;
    const __m512 steps = _mm512_cvtepi32_ps(_mm512_add_epi32(iota(), splat(1)));
    leaks_ = _mm512_mul_ps(steps, _mm512_set1_ps(leak_));
    first_ = first_elements(num_symbols_ - 1);
  }

  /// Asks for what `count` elements will read some groups later.
  TORCH_ANS_FN void prefetch(std::int64_t first, int count) const {
    const auto* begin = reinterpret_cast<const std::uint8_t*>(rows_ + first * stride_);
    begin += kAheadBytes;
    const std::int64_t bytes = count * stride_ * static_cast<std::int64_t>(sizeof(float));
    for (std::int64_t byte = 0; byte < bytes; byte += 64) torch_ans::prefetch(begin + byte);
  }

  TORCH_ANS_FN bool find_states(const std::int64_t* element, int count, const std::uint32_t* slots,
                                const SlotMatches& matches) const {
    const __mmask16 present = first_elements(count);
    alignas(64) std::uint32_t symbol[kVecSize] = {};
    alignas(64) float edges[2][kVecSize] = {};
    std::uint32_t scattered = 0;
    for (int k = 0; k < count; ++k) {
      const float* row = rows_ + element[k] * stride_;
      const int found = count_edges(row, slots[k], scattered);
      symbol[k] = static_cast<std::uint32_t>(found);
      edges[0][k] = row[found];
      edges[1][k] = row[found + 1];
    }
    FoundSlots match;
    match.symbol = _mm512_load_si512(symbol);
    match.start = edge(match.symbol, _mm512_load_ps(edges[0]));
    match.end = edge(_mm512_add_epi32(match.symbol, splat(1)), _mm512_load_ps(edges[1]));
    match.store(matches, present);
    const Vec slot = _mm512_maskz_loadu_epi32(present, slots);
    auto missed = static_cast<__mmask16>(
        present & (match.misses(slot) | _mm512_cmpgt_epu32_mask(match.end, edges_.slots)));
    if (unlikely(scattered != 0)) missed = present;
    return missed == 0 || find_slowly(element, missed, slots, matches);
  }

 private:
  /// How many inner edges of a row seem to be at or below a slot. `scattered` is no longer 0 where
  /// they are not the first ones, as where the CDF decreases: then several symbols may have the
  /// slot.
  TORCH_ANS_FN int count_edges(const float* row, std::uint32_t slot,
                               std::uint32_t& scattered) const {
    const float* edges = row + 1;
    const int count = num_symbols_ - 1;
    __m512 limit = _mm512_sub_ps(
        _mm512_set1_ps(static_cast<float>(static_cast<std::int32_t>(slot) + 1) * per_slot_),
        leaks_);
    const auto below = [&](int t, __mmask16 present) {
      const __m512 values = _mm512_maskz_loadu_ps(present, edges + t);
      return _mm512_mask_cmp_ps_mask(present, values, limit, _CMP_LT_OQ);
    };
    // They are the lowest bits of a long number x, and no others, if x & (x + 1) is 0.
    if (count <= kVecSize) {
      const std::uint32_t digit = below(0, first_);
      scattered |= digit & (digit + 1);
      return static_cast<int>(_mm_popcnt_u32(digit));
    }
    const __m512 step = _mm512_set1_ps(leak_ * kVecSize);
    int symbol = 0;
    std::uint64_t carry = 1;
    const auto add = [&](int t, __mmask16 first, __mmask16 second) {
      const __mmask16 low = below(t, first);
      limit = _mm512_sub_ps(limit, step);
      const __mmask16 high = below(t + kVecSize, second);
      limit = _mm512_sub_ps(limit, step);
      const std::uint64_t digit = _cvtmask32_u32(_mm512_kunpackw(high, low));
      symbol += _mm_popcnt_u32(static_cast<std::uint32_t>(digit));
      const std::uint64_t sum = digit + carry;
      scattered |= static_cast<std::uint32_t>(digit & sum);
      carry = sum >> 32;
    };
    int t = 0;
    for (; t + 2 * kVecSize <= count; t += 2 * kVecSize) add(t, 0xffff, 0xffff);
    add(t, first_elements(count - t), first_elements(larger(count - t - kVecSize, 0)));
    return symbol;
  }

  /// C(i) of any edge, as CdfModel::edges.
  TORCH_ANS_FN Vec edge(Vec i, __m512 value) const {
    const Vec bits = _mm512_max_epi32(_mm512_castps_si512(value), _mm512_setzero_si512());
    const __m512 one = _mm512_set1_ps(1.0f);
    const __m512 clamped = _mm512_castsi512_ps(_mm512_min_epi32(bits, _mm512_castps_si512(one)));
    const __m512 scaled = _mm512_mul_ps(clamped, _mm512_set1_ps(static_cast<float>(kFixedOne)));
    return edges_.clamp(i, edges_.inner(i, _mm512_cvttps_epi32(scaled)));
  }

  TORCH_ANS_COLD bool find_slowly(const std::int64_t* element, __mmask16 missed,
                                  const std::uint32_t* slots, const SlotMatches& matches) const {
    const Scalar model(model_);
    std::uint32_t bad = 0;
    for (std::uint32_t left = missed; left != 0; left = _blsr_u32(left)) {
      const auto k = static_cast<int>(_tzcnt_u32(left));
      bad |= find_symbol(model, element[k], slots + k, matches + k);
    }
    return bad == 0;
  }

  const VectorEdges edges_;
  const Model& model_;
  const float* rows_;
  std::int64_t stride_;
  int num_symbols_;
  float per_slot_;
  float leak_;
  __mmask16 first_;  ///< the inner edges among the first sixteen
  __m512 leaks_;     ///< of the first sixteen inner edges
};

inline bool find_cdf_symbols(const Model& model, const Elements& elements,
                             const std::uint32_t* slots, const SlotMatches& matches) {
  if (model.num_symbols > FloatCdfVectors::kMostSymbols) {
    return find_symbols<CdfModel<float>>(model, elements, slots, matches);
  }
  const FloatCdfVectors vectors(model);
  std::int64_t element[kVecSize];
  bool good = true;
  int filled = 0;
  int done = 0;
  for (int r = 0; r < elements.rows; ++r) {
    vectors.prefetch(elements.first[r], elements.lanes);
    for (int lane = 0; lane < elements.lanes; ++lane) {
      element[filled++] = elements.first[r] + lane;
      if (filled < kVecSize) continue;
      good &= vectors.find_states(element, filled, slots + done, matches + done);
      done += filled;
      filled = 0;
    }
  }
  if (filled > 0) good &= vectors.find_states(element, filled, slots + done, matches + done);
  return good;
}

inline void add_cdf_vectors(ModelTable& table) {
  ModelFunctions& functions =
      table[static_cast<int>(ModelKind::kCdf)][static_cast<int>(RealType::kFloat32)];
  functions.find_symbols = &find_cdf_symbols;
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
