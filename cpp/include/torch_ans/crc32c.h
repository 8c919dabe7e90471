/// CRC-32C (Castagnoli; iSCSI, RFC 3720, section 12.1): reflected polynomial 0x82f63b78, register
/// and result inverted. The check value of "123456789" is 0xe3069283.
///
/// Eight bytes a step ("slicing by 8": Kounavis and Berry, 2008): table k holds what a byte does
/// to the register once k more zero bytes have passed, so that eight lookups are independent.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "torch_ans/config.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

using Crc32cTables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr Crc32cTables make_crc32c_tables() {
  Crc32cTables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1u) * 0x82f63b78u);
    tables[0][byte] = crc;
  }
  for (std::size_t byte = 0; byte < 256; ++byte) {
    for (std::size_t k = 1; k < 8; ++k) {
      const std::uint32_t crc = tables[k - 1][byte];
      tables[k][byte] = (crc >> 8) ^ tables[0][crc & 0xffu];
    }
  }
  return tables;
}

inline constexpr Crc32cTables kCrc32cTables = make_crc32c_tables();

/// The checksum of `size` bytes; with `crc` that of the bytes before them, of both together.
inline std::uint32_t crc32c(const std::uint8_t* data, std::size_t size, std::uint32_t crc = 0) {
  const Crc32cTables& tables = kCrc32cTables;
  crc = ~crc;
  for (; size >= 8; size -= 8, data += 8) {
    const std::uint32_t low = load<std::uint32_t>(data) ^ crc;
    const auto high = load<std::uint32_t>(data + 4);
    crc = tables[7][low & 0xffu] ^ tables[6][(low >> 8) & 0xffu] ^ tables[5][(low >> 16) & 0xffu] ^
          tables[4][low >> 24] ^ tables[3][high & 0xffu] ^ tables[2][(high >> 8) & 0xffu] ^
          tables[1][(high >> 16) & 0xffu] ^ tables[0][high >> 24];
  }
  for (; size > 0; --size, ++data) crc = (crc >> 8) ^ tables[0][(crc ^ *data) & 0xffu];
  return ~crc;
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
