/// Messages: rows as CompressAI writes them, one byte string each. The states come first, as in a
/// stream, then the words in the reverse of the order in which they left.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "codec.h"
#include "torch_ans/tables.h"

namespace torch_ans {

/// Rows of a stream, owned: `rows` rows of `row_bytes`, each a length word and its bytes.
class Rows {
 public:
  Rows() = default;
  /// Memory with any content. Throws std::bad_alloc.
  Rows(std::int64_t rows, std::int64_t row_bytes);

  std::uint8_t* data() const { return bytes_.get(); }
  std::int64_t rows() const { return rows_; }
  std::int64_t row_bytes() const { return row_bytes_; }
  std::uint8_t* row(std::int64_t r) const { return bytes_.get() + r * row_bytes_; }
  /// Bytes behind the length word of a row.
  std::size_t length(std::int64_t r) const;

 private:
  std::unique_ptr<std::uint8_t[]> bytes_;
  std::int64_t rows_ = 0;
  std::int64_t row_bytes_ = 0;
};

/// Symbols to code with one set of tables; what `task` says of a stream is not read.
struct MessagePart {
  CodingTask task;
  int freq_precision;
};

/// How encoding ended; `part` is the one that `outcome` complains of.
struct MessageOutcome {
  Outcome outcome;
  std::size_t part;
};

/// Codes the parts, each with `rows` rows, into new rows: the first part decodes first.
MessageOutcome encode_messages(const Codec& codec, const std::vector<MessagePart>& parts,
                               std::int64_t rows, int threads, Rows& out);

/// The bytes of a row as a message (`rows.length(r)` of them), or a message as the bytes of a row:
/// each is the other with its words reversed. `source` and `target` do not overlap.
void reverse_words(const Codec& codec, const std::uint8_t* source, std::size_t length,
                   std::uint8_t* target);

}  // namespace torch_ans
