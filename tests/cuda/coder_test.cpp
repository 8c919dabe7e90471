/// The coder's kernels on the twin against the scalar coder, byte for byte.
///
/// usage: coder_test [family lanes [seeds [contexts]]]
#include <algorithm>
#include <cstring>

#include "coder_case.h"
#include "families.h"

namespace torch_ans {
namespace {

template <typename Family, int kFixedLanes>
class CoderTest {
  using System = typename Family::System;
  using Stream = std::vector<std::uint32_t>;
  static constexpr gpu::ImageKind kKind = Family::kKind;

 public:
  CoderTest(const Case& c, int lanes, Random& random)
      : case_(c),
        lanes_(lanes),
        header_(Family::header_bytes(lanes)),
        random_(random),
        tables_(c.cdfs.data(), c.num_tables, c.width, c.sizes.data(), c.offsets.data(), c.options),
        device_tables_(device_tables(tables_)),
        scalar_(Family::scalar(tables_, lanes, c.bypass_precision)),
        image_(gpu::image_layout(device_tables_, kKind).end / 16 + 1),
        headers_(static_cast<std::size_t>(c.rows * header_ + 8)) {
    write_host_image(tables_, kKind, image());
  }

  void run() {
    Operands operands = make_operands(case_, random_);
    columns_ = header_ / 4 + 100 + case_.row_length * 12;
    std::vector<RowBytes> expected(static_cast<std::size_t>(case_.rows), scalar_.empty());
    Stream stream = fresh();
    check(rows_of(stream) == expected, name() + ": init_stream");
    const int pushes = random_.chance(0.3) && case_.row_length < 200 ? 2 : 1;
    for (int n = 0; n < pushes; ++n) {
      for (std::int64_t row = 0; row < case_.rows; ++row) {
        scalar_.encode(expected[static_cast<std::size_t>(row)], case_.row_length, present(row),
                       sequence(operands, row), tables_of(operands, row));
      }
      expect(push(stream, operands), Status::kOk, "push");
      check(rows_of(stream) == expected, name() + ": bytes of push " + std::to_string(n));
    }
    bad_arguments(stream, operands);
    no_space(operands);
    for (int n = 0; n < 3; ++n) broken(expected, operands);
    for (int n = 0; n < pushes; ++n) {
      Tensor symbols(case_.symbol_type, case_.total);
      expect(pop(stream, operands, symbols, n == pushes - 1), Status::kOk, "pop");
      for (std::int64_t i = 0; i < case_.total; ++i) {
        check(symbols.get(i) == operands.symbols.get(i), name() + ": symbols of pop");
      }
    }
    const std::vector<RowBytes> emptied(static_cast<std::size_t>(case_.rows), scalar_.emptied());
    check(rows_of(stream) == emptied, name() + ": rows after pop");
  }

 private:
  std::uint8_t* image() { return reinterpret_cast<std::uint8_t*>(image_.data()); }
  const std::string& name() const { return case_.name; }
  static std::uint8_t* bytes(Stream& stream) {
    return reinterpret_cast<std::uint8_t*>(stream.data());
  }

  std::int64_t present(std::int64_t row) const {
    const std::int64_t left = case_.total - row * case_.row_length;
    return std::max<std::int64_t>(0, std::min(left, case_.row_length));
  }

  Sequence sequence(const Operands& operands, std::int64_t row) const {
    return [&operands, row, this](std::int64_t i) {
      return operands.symbols.get(row * case_.row_length + i);
    };
  }

  Sequence tables_of(const Operands& operands, std::int64_t row) const {
    return [&operands, row, this](std::int64_t i) {
      return operands.tables[static_cast<std::size_t>(row * case_.row_length + i)];
    };
  }

  std::vector<RowBytes> rows_of(Stream stream) const {
    std::vector<RowBytes> rows;
    for (std::int64_t row = 0; row < case_.rows; ++row) {
      const std::uint8_t* start = bytes(stream) + row * 4 * columns_;
      const std::int64_t length = load<std::int32_t>(start);
      check(length >= 0 && length <= 4 * columns_ - 4, name() + ": a length word");
      rows.emplace_back(start + 4, start + 4 + length);
    }
    return rows;
  }

  // --- the twin --------------------------------------------------------------------------

  Stream fresh() {
    Stream stream(static_cast<std::size_t>(case_.rows * columns_), 0);
    launch({2, 64, 0}, random_, name() + ", init", [&] {
      gpu::init_kernel(bytes(stream), case_.rows, 4 * columns_, Family::kFirstState,
                       static_cast<int>(header_), kKind.state_bytes);
    });
    return stream;
  }

  gpu::CoderTask make_task(Stream& stream, Tensor& symbols, const Operands& operands,
                           bool is_push) {
    gpu::HostTask host{};
    host.tables = &device_tables_;
    host.image = image();
    host.kind = kKind;
    host.lanes = lanes_;
    host.word_bytes = Family::kWordBytes;
    host.header_bytes = static_cast<int>(header_);
    host.stream = bytes(stream);
    host.row_bytes = 4 * columns_;
    host.symbols = array_of(case_, symbols);
    if (case_.with_indexes) {
      host.indexes = array_of(case_, const_cast<Tensor&>(operands.indexes), case_.expanded);
    }
    host.is_push = is_push;
    if (case_.contexts.order() > 0) {
      host.contexts = host_contexts(case_.contexts, case_.row_length);
      if (case_.contexts.num_sets > 1) {
        host.contexts.sets = array_of(case_, const_cast<Tensor&>(operands.sets));
      }
      scratch_.resize(static_cast<std::size_t>(
          gpu::context_scratch_bytes(case_.rows, case_.row_length, is_push) / 2 + 1));
      host.contexts.scratch = reinterpret_cast<std::uint8_t*>(scratch_.data());
    }
    host.rows = case_.rows;
    host.row_length = case_.row_length;
    host.total = case_.total;
    host.bypass_precision = case_.bypass_precision;
    results_.assign(static_cast<std::size_t>(case_.rows), gpu::RowResult{});
    failed_ = 0;
    host.headers = headers_.data();
    host.results = results_.data();
    host.failed = &failed_;
    gpu::CoderTask task = gpu::make_task(host);
    if (lanes_ < 32) {
      task.rows_per_warp = 1 << random_.between(0, 5 - task.lanes_log2);
    }
    return task;
  }

  Grid grid(std::size_t warp_bytes) {
    const unsigned warps = static_cast<unsigned>(random_.between(1, 2));
    return {static_cast<unsigned>(random_.between(1, 3)), 32 * warps,
            case_.staged ? std::size_t{1} << 17 : warps * warp_bytes};
  }

  void commit(const gpu::CoderTask& task) {
    launch({2, 32, 0}, random_, name() + ", commit",
           [&] { gpu::commit_kernel(task, static_cast<std::uint32_t>(header_ / 4)); });
  }

  std::vector<gpu::RowResult> push(Stream& stream, Operands& operands) {
    gpu::CoderTask task = make_task(stream, operands.symbols, operands, true);
    if (case_.contexts.order() > 0) {
      launch({2, 64, 0}, random_, name() + ", resolve", [&] { gpu::resolve_kernel(task); });
      task = gpu::with_chosen_tables(task);
    }
    const auto layout = gpu::image_layout(device_tables_, kKind);
    launch(grid(gpu::kEncoderWarpBytes<System, kFixedLanes>), random_, name() + ", encode", [&] {
      if constexpr (kFixedLanes == 32) {
        if (case_.staged) {
          gpu::encode_staged_kernel<System>(task,
                                            static_cast<std::uint32_t>(layout.num_entries + 1));
          return;
        }
      }
      gpu::encode_kernel<System, kFixedLanes>(task);
    });
    commit(task);
    return results_;
  }

  std::vector<gpu::RowResult> pop(Stream& stream, const Operands& operands, Tensor& symbols,
                                  bool require_end) {
    gpu::CoderTask task = make_task(stream, symbols, operands, false);
    task.require_end = require_end;
    const auto layout = gpu::image_layout(device_tables_, kKind);
    const bool follows = case_.contexts.order() > 0;
    const std::size_t warp_bytes =
        follows ? gpu::kDecoderWarpBytes<0> : gpu::kDecoderWarpBytes<kFixedLanes>;
    launch(grid(warp_bytes), random_, name() + ", decode", [&] {
      if (follows) {
        gpu::decode_kernel<System, 0, gpu::ContextChoice>(task);
        return;
      }
      if constexpr (kFixedLanes == 32) {
        if (case_.staged && layout.num_buckets > 0 && layout.num_buckets < 15000) {
          gpu::decode_staged_kernel<System>(task,
                                            static_cast<std::uint32_t>(layout.num_buckets + 1));
          return;
        }
      }
      gpu::decode_kernel<System, kFixedLanes>(task);
    });
    commit(task);
    return results_;
  }

  void expect(const std::vector<gpu::RowResult>& results, Status status,
              const std::string& what) const {
    for (const gpu::RowResult& result : results) {
      check(result.status == static_cast<std::int32_t>(status),
            name() + ": " + what + " has status " + std::to_string(result.status));
    }
  }

  // --- what must fail ----------------------------------------------------------------------

  /// One argument out of range: its row and position are named, no row changes.
  void bad_arguments(const Stream& before, const Operands& good) {
    if (case_.total == 0 || case_.expanded) return;
    Operands operands = good;
    const std::int64_t i = random_.between(0, case_.total - 1);
    const bool bad_index = case_.with_indexes && random_.chance(0.5);
    if (!bad_index && (case_.options.bypass_coding || case_.symbol_type == IntType::kInt16)) {
      return;
    }
    const std::int64_t bad_symbol = random_.chance(0.5) ? -1 - (std::int64_t{1} << 40) - 100 : 500;
    if (bad_index) operands.indexes.set(i, random_.chance(0.5) ? -1 : case_.num_indexes());
    if (!bad_index) operands.symbols.set(i, bad_symbol);
    Stream stream = before;
    const auto results = push(stream, operands);
    const std::int64_t row = i / case_.row_length;
    for (std::int64_t r = 0; r < case_.rows; ++r) {
      const gpu::RowResult& result = results[static_cast<std::size_t>(r)];
      const Status status = r != row    ? Status::kOk
                            : bad_index ? Status::kBadIndex
                                        : Status::kBadSymbol;
      check(result.status == static_cast<std::int32_t>(status), name() + ": bad argument");
      check(r != row || result.position == i % case_.row_length,
            name() + ": where the bad argument is");
    }
    check(rows_of(stream) == rows_of(before), name() + ": a failed push changes the stream");
    if (!bad_index) return;
    Tensor symbols(case_.symbol_type, case_.total);
    const auto popped = pop(stream, operands, symbols, false)[static_cast<std::size_t>(row)];
    check(popped.status == static_cast<std::int32_t>(Status::kBadIndex) &&
              popped.position == i % case_.row_length,
          name() + ": bad index of pop");
    check(rows_of(stream) == rows_of(before), name() + ": a failed pop changes the stream");
  }

  /// Rows without room: the push says how much it takes.
  void no_space(Operands& operands) {
    const std::int64_t columns = columns_;
    Stream roomy = fresh();
    const auto needed = push(roomy, operands);
    std::int64_t most = 0;
    for (const auto& result : needed) most = std::max(most, result.end);
    columns_ = random_.between(1 + header_ / 4, (most + 3) / 4);
    Stream narrow = fresh();
    const auto before = rows_of(narrow);
    const auto results = push(narrow, operands);
    bool failed = false;
    for (std::size_t row = 0; row < results.size(); ++row) {
      const bool fits = needed[row].end <= 4 * columns_;
      failed |= !fits;
      check(results[row].status == static_cast<std::int32_t>(fits ? Status::kOk : Status::kNoSpace),
            name() + ": status without room");
      check(results[row].end == needed[row].end, name() + ": how much room it takes");
    }
    if (failed) check(rows_of(narrow) == before, name() + ": a push without room");
    columns_ = columns;
  }

  void spoil(std::uint8_t* start) {
    const std::int64_t length = load<std::int32_t>(start);
    switch (random_.between(0, 5)) {
      case 0:
        for (std::int64_t n = random_.between(1, 20); n > 0; --n) {
          start[random_.between(4, 3 + length)] ^=
              static_cast<std::uint8_t>(1 << random_.between(0, 7));
        }
        break;
      case 1:
        store(start, static_cast<std::int32_t>(random_.between(0, length)));
        break;
      case 2:
        store(start, static_cast<std::int32_t>(header_ + (length - header_) / 8 * 4));
        break;
      case 3:
        store(start, static_cast<std::int32_t>(random_.between(-9, 9) * (1 << 27)));
        break;
      case 4:
        for (std::int64_t b = 4 + header_; b < 4 + length; ++b) {
          start[b] = static_cast<std::uint8_t>(random_.between(0, 255));
        }
        break;
      default:
        break;
    }
  }

  /// Flipped bits, cut and forged rows: exactly those are blamed that the format rules out.
  void broken(const std::vector<RowBytes>& full, const Operands& operands) {
    Stream stream = fresh();
    for (std::int64_t row = 0; row < case_.rows; ++row) {
      const RowBytes& row_bytes = full[static_cast<std::size_t>(row)];
      std::uint8_t* start = bytes(stream) + row * 4 * columns_;
      store(start, static_cast<std::int32_t>(row_bytes.size()));
      std::memcpy(start + 4, row_bytes.data(), row_bytes.size());
      spoil(start);
    }
    const Stream before = stream;
    const bool require_end = random_.chance(0.5);
    Tensor symbols(case_.symbol_type, case_.total);
    const auto results = pop(stream, operands, symbols, require_end);
    bool all_good = true;
    for (std::int64_t row = 0; row < case_.rows; ++row) {
      Stream copy = before;
      const bool good = expect_row(bytes(copy) + row * 4 * columns_, row, operands, symbols,
                                   bytes(stream) + row * 4 * columns_, require_end, failed_ == 0);
      check(results[static_cast<std::size_t>(row)].status ==
                static_cast<std::int32_t>(good ? Status::kOk : Status::kCorrupt),
            name() + ": status of row " + std::to_string(row));
      all_good &= good;
    }
    check(all_good || stream == before, name() + ": a broken stream has changed");
  }

  /// Whether the row at `start` is good; then its symbols (and, with `committed`, its bytes
  /// `after`) must be what the scalar coder makes of it.
  bool expect_row(const std::uint8_t* start, std::int64_t row, const Operands& operands,
                  const Tensor& symbols, const std::uint8_t* after, bool require_end,
                  bool committed) {
    const std::int64_t length = load<std::int32_t>(start);
    if (length < header_ || length > 4 * columns_ - 4) return false;
    RowBytes row_bytes(start + 4, start + 4 + length);
    std::vector<std::int64_t> expected;
    const Sequence tables = tables_of_row(operands, row, [&expected](std::int64_t i) {
      return expected[static_cast<std::size_t>(i)];
    });
    if (!scalar_.decode(row_bytes, case_.row_length, present(row), tables, expected, require_end)) {
      return false;
    }
    Tensor one(case_.symbol_type, 1);
    for (const std::int64_t symbol : expected) {
      one.set(0, symbol);
      if (one.get(0) != symbol) return false;
    }
    for (std::int64_t i = 0; i < present(row); ++i) {
      check(symbols.get(row * case_.row_length + i) == expected[static_cast<std::size_t>(i)],
            name() + ": symbols of a good row");
    }
    if (committed) {
      check(load<std::int32_t>(after) == static_cast<std::int32_t>(row_bytes.size()) &&
                std::memcmp(after + 4, row_bytes.data(), row_bytes.size()) == 0,
            name() + ": a good row after its pop");
    }
    return true;
  }

  const Case& case_;
  const int lanes_;
  const std::int64_t header_;
  Random& random_;
  CodingTables tables_;
  gpu::DeviceTables device_tables_;
  typename Family::Scalar scalar_;
  struct alignas(16) Line {
    std::uint8_t bytes[16];
  };
  std::vector<Line> image_;
  std::vector<std::uint8_t> headers_;
  std::vector<std::uint16_t> scratch_;
  std::vector<gpu::RowResult> results_;
  std::uint32_t failed_ = 0;
  std::int64_t columns_ = 0;
};

template <typename Family>
void test_variant(const std::string& family, int lanes, int seeds, bool contexts) {
  for (int n = 0; n < 3 * seeds; ++n) {
    const int lookup = n / seeds % Family::kLookups, seed = n % seeds;
    Random random(static_cast<std::uint64_t>(seed * 1000 + n / seeds * 100 + lanes));
    Case c = make_case(random, Family::kMaxFreqPrecision, lanes, lookup);
    c.staged &= !Family::kKind.tans;
    if (contexts) c.contexts = make_context_case(random, lanes, c.num_tables);
    if (c.contexts.order() > 0) c.with_indexes |= c.contexts.num_indexes > 1;
    if (contexts && random.chance(0.5)) {
      std::fill(c.offsets.begin(), c.offsets.end(), c.offsets[0]);
    }
    c.name = family + " lanes " + std::to_string(lanes) + " lookup " + std::to_string(lookup) +
             " seed " + std::to_string(seed);
    if (lanes == 32) {
      CoderTest<Family, 32>(c, lanes, random).run();
    } else {
      CoderTest<Family, 0>(c, lanes, random).run();
    }
  }
  std::printf("%s lanes %d: ok\n", family.c_str(), lanes);
}

/// What the command line asks for.
struct Request {
  std::string family;
  int lanes;
  int seeds;
  bool contexts;
};

template <typename Family>
void test_family(const std::string& family, const Request& request) {
  if (request.family != "all" && request.family != family) return;
  for (const int lanes : {1, 2, 4, 8, 16, 32}) {
    if (request.lanes == 0 || request.lanes == lanes) {
      test_variant<Family>(family, lanes, request.seeds, request.contexts);
    }
  }
}

}  // namespace
}  // namespace torch_ans

int main(int argc, char** argv) {
  using namespace torch_ans;
  plant_defect();
  const Request request{argc > 1 ? argv[1] : "all", argc > 2 ? std::atoi(argv[2]) : 0,
                        argc > 3 ? std::atoi(argv[3]) : 12, argc > 4};
  test_family<RansFamily<Rans64>>("rans64", request);
  test_family<RansFamily<Rans32>>("rans32", request);
  test_family<RansFamily<Rans32x16>>("rans32_16", request);
  test_family<TansFamily<2, 15>>("tans32", request);
  test_family<TansFamily<1, 15>>("tans16", request);
  test_family<TansFamily<1, 7>>("tans8", request);
  return 0;
}
