/// The envelope for files, version 1 (cpp/FORMAT.md, "Packed files"): a head that says how rows
/// were coded, where they stand, and checksums, so that no flipped bit goes unnoticed.
///
///     0..32      prelude    fixed fields; its last four bytes are the CRC of the rest
///     shape      `shape_bytes` of varints          \  one CRC behind both; their sizes are
///     lengths    rows * length_bytes, little endian /  in the prelude, which is known to be good
///     checksums  rows * 4
///     rows       one behind the other, to the end of the file
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "torch_ans/crc32c.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// How the rows of a packed file were coded. Numbers as they stand in the file.
struct PackedHeader {
  std::uint8_t family;  ///< 0 rans64, 1 rans32, 2 rans32_16, 3 tans32, 4 tans16, 5 tans8
  std::uint8_t lanes;   ///< 1, 2, 4, 8, 16 or 32
  std::uint8_t freq_precision;
  std::uint8_t bypass_precision;  ///< 0: no bypass coding
  std::uint8_t flags;             ///< kPackedAlias
  std::uint8_t dtype;             ///< of the symbols: a value of IntType
  std::uint64_t tables_hash;
  std::vector<std::uint64_t> shape;  ///< of the symbols
};

/// Where a row stands in the file, and whether its checksum holds.
struct PackedRow {
  std::size_t start;
  std::size_t length;
  bool intact;
};

enum class PackedStatus {
  kOk,
  kNoMagic,   ///< the bytes are something else
  kVersion,   ///< of another release
  kCutOff,    ///< the head is not complete
  kChecksum,  ///< the head is damaged
  kField,     ///< a field of an undamaged head has a value that no writer gives it
};

constexpr std::uint8_t kPackedMagic[4] = {0x93, 'A', 'N', 'S'};
constexpr std::uint8_t kPackedVersion = 1;
constexpr std::uint8_t kPackedAlias = 1;
constexpr std::size_t kPreludeBytes = 32;
constexpr std::size_t kMaxPackedDims = 64;
constexpr std::uint64_t kMaxPackedRowBytes = 0x7ffffffc;

/// A row's checksum covers its number too, so that rows cannot change places.
inline std::uint32_t packed_row_crc(std::uint32_t row, const std::uint8_t* data, std::size_t size) {
  std::uint8_t number[4];
  store(number, row);
  return crc32c(data, size, crc32c(number, sizeof(number)));
}

template <typename T>
void append(std::vector<std::uint8_t>& bytes, T value, std::size_t count = sizeof(T)) {
  for (std::size_t i = 0; i < count; ++i) {
    bytes.push_back(static_cast<std::uint8_t>(static_cast<std::uint64_t>(value) >> (8 * i)));
  }
}

/// Seven bits a byte, the lowest first; a set top bit says that more follow.
inline void append_varint(std::vector<std::uint8_t>& bytes, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes.push_back(static_cast<std::uint8_t>(value | 0x80));
  bytes.push_back(static_cast<std::uint8_t>(value));
}

/// The fewest of 1, 2 or 4 bytes that hold every length.
inline std::uint8_t packed_length_bytes(const std::vector<PackedRow>& rows) {
  std::size_t longest = 0;
  for (const PackedRow& row : rows) longest = larger(longest, row.length);
  return longest <= 0xff ? 1 : longest <= 0xffff ? 2 : 4;
}

/// The head of a file whose rows are these spans of `data`: everything before the rows' bytes.
/// The caller has made sure that there are under 2^32 rows of at most kMaxPackedRowBytes and at
/// most kMaxPackedDims dimensions of under 2^63 elements in all.
inline std::vector<std::uint8_t> write_packed_head(const PackedHeader& header,
                                                   const std::uint8_t* data,
                                                   const std::vector<PackedRow>& rows) {
  std::vector<std::uint8_t> shape;
  for (const std::uint64_t size : header.shape) append_varint(shape, size);
  const std::uint8_t length_bytes = packed_length_bytes(rows);
  std::vector<std::uint8_t> head(kPackedMagic, kPackedMagic + sizeof(kPackedMagic));
  for (const std::uint8_t field :
       {kPackedVersion, header.family, header.lanes, header.freq_precision, header.bypass_precision,
        header.flags, header.dtype, length_bytes}) {
    head.push_back(field);
  }
  append(head, header.shape.size(), 2);
  append(head, shape.size(), 2);
  append(head, static_cast<std::uint32_t>(rows.size()));
  append(head, header.tables_hash);
  append(head, crc32c(head.data(), head.size()));
  head.insert(head.end(), shape.begin(), shape.end());
  for (const PackedRow& row : rows) append(head, row.length, length_bytes);
  append(head, crc32c(head.data() + kPreludeBytes, head.size() - kPreludeBytes));
  std::uint32_t number = 0;
  for (const PackedRow& row : rows) {
    append(head, packed_row_crc(number++, data + row.start, row.length));
  }
  return head;
}

/// Reads a packed file that anybody may have written. Whatever it holds, memory for the result is
/// in proportion to its size.
class PackedReader {
 public:
  PackedReader(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  const PackedHeader& header() const { return header_; }
  const std::vector<PackedRow>& rows() const { return rows_; }
  /// Bytes behind the last row: 0, as a writer leaves it.
  std::size_t extra() const { return extra_; }

  PackedStatus read() {
    PackedStatus status = read_prelude();
    if (status == PackedStatus::kOk) status = read_shape();
    return status == PackedStatus::kOk ? read_rows() : status;
  }

 private:
  PackedStatus read_prelude() {
    if (size_ < sizeof(kPackedMagic) + 1) return PackedStatus::kCutOff;
    if (std::memcmp(data_, kPackedMagic, sizeof(kPackedMagic)) != 0) {
      return PackedStatus::kNoMagic;
    }
    if (data_[4] != kPackedVersion) return PackedStatus::kVersion;
    if (size_ < kPreludeBytes) return PackedStatus::kCutOff;
    if (load<std::uint32_t>(data_ + 28) != crc32c(data_, 28)) return PackedStatus::kChecksum;
    header_ = {data_[5], data_[6], data_[7], data_[8], data_[9], data_[10], 0, {}};
    length_bytes_ = data_[11];
    dims_ = load<std::uint16_t>(data_ + 12);
    shape_bytes_ = load<std::uint16_t>(data_ + 14);
    count_ = load<std::uint32_t>(data_ + 16);
    header_.tables_hash = load<std::uint64_t>(data_ + 20);
    const bool lanes_exist =
        header_.lanes <= 32 && header_.lanes != 0 && (header_.lanes & (header_.lanes - 1)) == 0;
    const bool good = header_.family <= 5 && lanes_exist && header_.freq_precision >= 1 &&
                      header_.freq_precision <= 16 && header_.bypass_precision <= 16 &&
                      (header_.flags & ~kPackedAlias) == 0 && header_.dtype <= 5 &&
                      (length_bytes_ == 1 || length_bytes_ == 2 || length_bytes_ == 4) &&
                      dims_ <= kMaxPackedDims;
    return good ? PackedStatus::kOk : PackedStatus::kField;
  }

  PackedStatus read_shape() {
    // No overflow: under 2^16 + 2^34 + 4 + 2^34.
    const std::uint64_t directory =
        shape_bytes_ + static_cast<std::uint64_t>(count_) * length_bytes_;
    const std::uint64_t rest = size_ - kPreludeBytes;
    if (rest < directory + 4 + static_cast<std::uint64_t>(count_) * 4) {
      return PackedStatus::kCutOff;
    }
    const std::uint8_t* start = data_ + kPreludeBytes;
    const auto bytes = static_cast<std::size_t>(directory);
    if (load<std::uint32_t>(start + bytes) != crc32c(start, bytes)) {
      return PackedStatus::kChecksum;
    }
    const std::uint8_t* in = start;
    const std::uint8_t* const end = start + shape_bytes_;
    std::uint64_t elements = 1;
    for (std::size_t dim = 0; dim < dims_; ++dim) {
      std::uint64_t size = 0;
      if (!read_varint(in, end, size) || !multiply(elements, size)) {
        return PackedStatus::kField;
      }
      header_.shape.push_back(size);
    }
    lengths_ = end;
    return in == end ? PackedStatus::kOk : PackedStatus::kField;
  }

  /// False: the bytes end, or name 2^63 or more.
  static bool read_varint(const std::uint8_t*& in, const std::uint8_t* end, std::uint64_t& value) {
    for (int shift = 0; shift < 63 && in != end; shift += 7) {
      const std::uint8_t byte = *in++;
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  /// False: the product of the sizes that are not 0 is 2^63 or more.
  static bool multiply(std::uint64_t& product, std::uint64_t size) {
    constexpr std::uint64_t kMost = ~std::uint64_t{0} >> 1;
    if (size == 0) return true;
    if (product > kMost / size) return false;
    product *= size;
    return true;
  }

  PackedStatus read_rows() {
    const std::uint8_t* checksums = lengths_ + static_cast<std::size_t>(count_) * length_bytes_ + 4;
    std::size_t at =
        static_cast<std::size_t>(checksums - data_) + static_cast<std::size_t>(count_) * 4;
    rows_.reserve(count_);
    for (std::uint32_t row = 0; row < count_; ++row) {
      std::uint32_t length = 0;
      std::memcpy(&length, lengths_ + static_cast<std::size_t>(row) * length_bytes_, length_bytes_);
      if (length > kMaxPackedRowBytes) return PackedStatus::kField;
      // A file cut off keeps the rows that it still holds.
      const bool complete = length <= size_ - at;
      const auto stored = load<std::uint32_t>(checksums + static_cast<std::size_t>(row) * 4);
      const bool intact = complete && packed_row_crc(row, data_ + at, length) == stored;
      rows_.push_back({at, complete ? length : size_ - at, intact});
      at += rows_.back().length;
    }
    extra_ = size_ - at;
    return PackedStatus::kOk;
  }

  const std::uint8_t* data_;
  std::size_t size_;
  PackedHeader header_{};
  std::uint8_t length_bytes_ = 0;
  std::size_t dims_ = 0;
  std::size_t shape_bytes_ = 0;
  std::uint32_t count_ = 0;
  const std::uint8_t* lengths_ = nullptr;
  std::vector<PackedRow> rows_;
  std::size_t extra_ = 0;
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
