/// Byte shuffles that squeeze the words that leave eight lanes together, and spread those that
/// enter. An index of 0x80 or above makes a zero.
#pragma once

#include <cstdint>

#include "torch_ans/config.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

struct ShuffleTable {
  alignas(64) std::uint8_t bytes[256][16];
};

/// Words of 16 bits, by the mask of the lanes that give one up (bit = lane). Source: the eight
/// lanes' low words. The highest lane's word comes first.
constexpr ShuffleTable make_squeeze_words() {
  ShuffleTable table{};
  for (int mask = 0; mask < 256; ++mask) {
    int to = 0;
    for (int lane = 7; lane >= 0; --lane) {
      if ((mask >> lane & 1) == 0) continue;
      table.bytes[mask][to++] = static_cast<std::uint8_t>(2 * lane);
      table.bytes[mask][to++] = static_cast<std::uint8_t>(2 * lane + 1);
    }
    while (to < 16) table.bytes[mask][to++] = 0x80;
  }
  return table;
}

/// The opposite, for rows of `block` lanes. Source: for each row the `block` words below its
/// cursor. A row's lowest lane takes its highest word.
constexpr ShuffleTable make_spread_words(int block) {
  ShuffleTable table{};
  for (int mask = 0; mask < 256; ++mask) {
    int from = 0;
    for (int lane = 0; lane < 8; ++lane) {
      const bool takes = (mask >> lane & 1) != 0;
      if (lane % block == 0) from = 2 * (lane + block);
      if (takes) from -= 2;
      table.bytes[mask][2 * lane] = static_cast<std::uint8_t>(takes ? from : 0x80);
      table.bytes[mask][2 * lane + 1] = static_cast<std::uint8_t>(takes ? from + 1 : 0x80);
    }
  }
  return table;
}

/// Words of 8 bits, up to two from each of four lanes, by a mask of two bits a lane: whether a
/// first and whether a second byte leaves. Source: the lanes' 32 bits. The highest lane's bytes
/// come first, of which the low one.
constexpr ShuffleTable make_squeeze_bytes() {
  ShuffleTable table{};
  for (int mask = 0; mask < 256; ++mask) {
    int to = 0;
    for (int lane = 3; lane >= 0; --lane) {
      for (int byte = 0; byte < 2; ++byte) {
        if ((mask >> (2 * lane + byte) & 1) == 0) continue;
        table.bytes[mask][to++] = static_cast<std::uint8_t>(4 * lane + byte);
      }
    }
    while (to < 16) table.bytes[mask][to++] = 0x80;
  }
  return table;
}

/// The opposite, for rows of `block` lanes. Source: for each row the 2 * `block` bytes below its
/// cursor. Of a lane's two bytes the one that enters first is the higher.
constexpr ShuffleTable make_spread_bytes(int block) {
  ShuffleTable table{};
  for (int mask = 0; mask < 256; ++mask) {
    int from = 0;
    for (int lane = 0; lane < 4; ++lane) {
      const int count = (mask >> (2 * lane) & 1) + (mask >> (2 * lane + 1) & 1);
      if (lane % block == 0) from = 2 * (lane + block);
      from -= count;
      for (int byte = 0; byte < 4; ++byte) {
        table.bytes[mask][4 * lane + byte] =
            static_cast<std::uint8_t>(byte < count ? from + byte : 0x80);
      }
    }
  }
  return table;
}

/// Which lanes of eight stand first where those of a mask are squeezed together, the highest first.
struct LaneOrders {
  alignas(64) std::uint8_t lanes[256][8];
};

constexpr LaneOrders make_squeeze_order() {
  LaneOrders orders{};
  for (int mask = 0; mask < 256; ++mask) {
    int to = 0;
    for (int lane = 7; lane >= 0; --lane) {
      if ((mask >> lane & 1) != 0) orders.lanes[mask][to++] = static_cast<std::uint8_t>(lane);
    }
  }
  return orders;
}

/// For words of 32 bits: which word each lane of a mask takes, as `make_spread_words` has them.
constexpr LaneOrders make_spread_order(int block) {
  LaneOrders orders{};
  for (int mask = 0; mask < 256; ++mask) {
    int from = 0;
    for (int lane = 0; lane < 8; ++lane) {
      if (lane % block == 0) from = lane + block;
      if ((mask >> lane & 1) != 0) orders.lanes[mask][lane] = static_cast<std::uint8_t>(--from);
    }
  }
  return orders;
}

/// For four elements of 32 bits, the first one first, each with up to `most` words of `word_bytes`
/// that leave it: bit k of a mask for the first word of element k, bit 4 + k for the second.
constexpr ShuffleTable make_squeeze_steps(int word_bytes, int most) {
  ShuffleTable table{};
  for (int mask = 0; mask < 1 << (4 * most); ++mask) {
    int to = 0;
    for (int element = 0; element < 4; ++element) {
      for (int byte = 0; byte < word_bytes * most; ++byte) {
        if ((mask >> (4 * (byte / word_bytes) + element) & 1) == 0) continue;
        table.bytes[mask][to++] = static_cast<std::uint8_t>(4 * element + byte);
      }
    }
    while (to < 16) table.bytes[mask][to++] = 0x80;
  }
  return table;
}

template <int kWordBytes, int kMost>
constexpr ShuffleTable kSqueezeSteps = make_squeeze_steps(kWordBytes, kMost);
constexpr LaneOrders kSqueezeOrder = make_squeeze_order();
constexpr ShuffleTable kSqueezeWords = make_squeeze_words();
constexpr ShuffleTable kSqueezeBytes = make_squeeze_bytes();
template <int kBlock>
constexpr ShuffleTable kSpreadWords = make_spread_words(kBlock);
template <int kBlock>
constexpr ShuffleTable kSpreadBytes = make_spread_bytes(kBlock);
template <int kBlock>
constexpr LaneOrders kSpreadOrder = make_spread_order(kBlock);

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
