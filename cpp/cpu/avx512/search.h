/// The symbol of a slot that its bucket could not tell, 32 symbols a look.
#pragma once

#include "torch_ans/lookup.h"
#include "vectors.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// `from`: a symbol that starts at or below the slot. No symbol owns all 2^16 slots.
TORCH_ANS_FN Match search_cdf16(const TablesView& tables, std::uint32_t base, std::uint32_t from,
                                std::uint32_t slot) {
  // A symbol is passed if end <= slot, which is end - 1 < slot: an end of 2^16 reads 0. The
  // table's last symbol is never passed, so what stands behind it is never looked for.
  const Vec slots = _mm512_set1_epi16(static_cast<std::int16_t>(slot));
  const Vec ones = _mm512_set1_epi16(1);
  const std::uint16_t* cdf = tables.cdf16 + base + from;
  for (;; cdf += 32) {
    const Vec ends = _mm512_sub_epi16(_mm512_loadu_si512(cdf + 1), ones);
    const __mmask32 stays = _mm512_cmpge_epu16_mask(ends, slots);
    if (unlikely(stays == 0)) continue;
    cdf += _tzcnt_u32(stays);
    const std::uint32_t start = cdf[0];
    return {static_cast<std::uint32_t>(cdf - tables.cdf16) - base, (cdf[1] - start) & 0xffff,
            slot - start};
  }
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
