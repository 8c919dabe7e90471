/// Byte strings and packed files that anybody may have written: rows found in them lie inside
/// them, and what is written again reads the same.
#include <algorithm>
#include <stdexcept>

#include "cpu/byte_strings.h"
#include "input.h"
#include "torch_ans/container.h"

namespace {

using torch_ans::PackedReader;
using torch_ans::PackedStatus;

/// Makes the checksums right, so that the fields behind them are reached.
void forge_checksums(std::vector<std::uint8_t>& file) {
  if (file.size() < torch_ans::kPreludeBytes) return;
  std::copy_n(torch_ans::kPackedMagic, 4, file.begin());
  file[4] = torch_ans::kPackedVersion;
  torch_ans::store(file.data() + 28, torch_ans::crc32c(file.data(), 28));
  const std::size_t shape = torch_ans::load<std::uint16_t>(file.data() + 14);
  const std::size_t rows = torch_ans::load<std::uint32_t>(file.data() + 16);
  const std::size_t bytes = shape + rows * file[11];
  const std::size_t rest = file.size() - torch_ans::kPreludeBytes;
  if (rest < 4 || bytes > rest - 4) return;
  std::uint8_t* start = file.data() + torch_ans::kPreludeBytes;
  torch_ans::store(start + bytes, torch_ans::crc32c(start, bytes));
}

void check_packed(const std::vector<std::uint8_t>& file) {
  PackedReader reader(file.data(), file.size());
  if (reader.read() != PackedStatus::kOk) return;
  std::size_t end = reader.rows().empty() ? file.size() - reader.extra() : reader.rows()[0].start;
  bool intact = reader.extra() == 0;
  for (const torch_ans::PackedRow& row : reader.rows()) {
    fuzz::require(row.start == end && row.length <= file.size() - end);
    end += row.length;
    intact &= row.intact;
  }
  fuzz::require(end + reader.extra() == file.size());
  if (!intact) return;
  const auto head = torch_ans::write_packed_head(reader.header(), file.data(), reader.rows());
  PackedReader again(head.data(), head.size());
  fuzz::require(again.read() == PackedStatus::kOk);
  fuzz::require(again.header().shape == reader.header().shape);
  fuzz::require(again.rows().size() == reader.rows().size());
}

void check_byte_strings(fuzz::Input& input, const std::vector<std::uint8_t>& bytes) {
  const torch_ans::ByteFormat format{input.pick({0, 1, 2, 4, 8}), input.chance(2)};
  const std::int64_t rows = static_cast<std::int64_t>(input.below(12)) - 1;
  if (rows < 0 && (format.length_bytes == 0 || format.bare_last)) return;
  try {
    const auto spans = torch_ans::find_rows(bytes.data(), bytes.size(), rows, format);
    std::size_t longest = 0;
    for (const torch_ans::Span& span : spans) {
      fuzz::require(span.start <= bytes.size() && span.length <= bytes.size() - span.start);
      longest = std::max(longest, span.length);
    }
    const std::size_t row_bytes = 4 + (longest + 3) / 4 * 4;
    std::vector<std::uint8_t> stream(spans.size() * row_bytes);
    const auto width = static_cast<std::int64_t>(row_bytes);
    const auto count = static_cast<std::int64_t>(spans.size());
    torch_ans::fill_rows(bytes.data(), spans, stream.data(), width, 1);
    const auto plan = torch_ans::plan_rows(stream.data(), count, width, format);
    std::vector<std::uint8_t> packed(bytes.size());
    fuzz::require(plan.empty() || plan.back().start + plan.back().length == bytes.size());
    torch_ans::pack_rows(stream.data(), width, plan, format, packed.data(), 1);
    fuzz::require(packed == bytes);
  } catch (const std::invalid_argument&) {
  }
  const std::int64_t row_bytes = 4 * (1 + static_cast<std::int64_t>(input.below(9)));
  const auto count = static_cast<std::int64_t>(bytes.size()) / row_bytes;
  try {  // length words that anybody may have written
    const auto plan = torch_ans::plan_rows(bytes.data(), count, row_bytes, format);
    std::vector<std::uint8_t> packed(plan.empty() ? 0 : plan.back().start + plan.back().length);
    torch_ans::pack_rows(bytes.data(), row_bytes, plan, format, packed.data(), 1);
  } catch (const std::invalid_argument&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 8) return 0;
  fuzz::Input input(data, 8);
  const bool forge = input.chance(2);
  std::vector<std::uint8_t> file(data + 8, data + size);
  check_byte_strings(input, file);
  if (forge) forge_checksums(file);
  check_packed(file);
  return 0;
}
