/// The CPU engine's entry points: whole streams, all rows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "task.h"

namespace torch_ans {

/// A family and a lane count, resolved by name.
struct Codec {
  const char* name;
  Family family;
  int lanes;
  int state_bytes;
  int word_bytes;
  std::uint64_t lower_bound;
  int max_freq_precision;

  /// A row of tANS also has the bits that fill no word, and their number.
  int header_bytes() const { return lanes * state_bytes + (is_tans(family) ? 8 : 0); }
  int lanes_log2() const;
};

struct FamilyInfo {
  const char* name;
  Family family;
  int state_bytes;
  int word_bytes;
  std::uint64_t lower_bound;
  int max_freq_precision;
};

const std::vector<FamilyInfo>& families();

/// Throws std::invalid_argument, listing what exists.
Codec make_codec(const std::string& family, int lanes);

/// What a call came to. For kBadIndex and kBadSymbol `row` and `position` name the first culprit
/// of the lowest row; `broken_rows` lists every broken row, in ascending order.
struct Outcome {
  Status status;
  std::int64_t row;
  std::int64_t position;
  std::vector<std::int64_t> broken_rows;
};

/// Fresh rows: every state at the lower bound (tANS: 0, whatever the tables), no words. What lies
/// behind is left as it is.
void init_stream(const Codec& codec, std::uint8_t* stream, std::int64_t rows,
                 std::int64_t row_bytes);

/// Appends to every row, or, unless the outcome is kOk, leaves all rows as they were (what lies
/// behind a row's bytes may be zeroed). `task.headers` is filled in here.
Outcome encode(const Codec& codec, CodingTask task, int threads);

/// Takes symbols off the end of every row, or, unless the outcome is kOk, leaves the stream as
/// it was.
Outcome decode(const Codec& codec, CodingTask task, int threads);

/// The most bytes that the escapes of a row can append.
std::int64_t max_escape_bytes(CodingTask task);

}  // namespace torch_ans
