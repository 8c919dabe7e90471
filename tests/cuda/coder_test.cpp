/// The coder's kernels on the twin against the scalar coder, byte for byte.
///
/// usage: coder_test [family lanes [seeds [contexts | plain]]]
#include "coder_on_twin.h"

namespace torch_ans {
namespace {

template <typename Family, int kFixedLanes>
class CoderTest {
  using Twin = CoderOnTwin<Family, kFixedLanes>;
  using Stream = typename Twin::Stream;

 public:
  CoderTest(const Case& c, int lanes, Random& random)
      : case_(c),
        random_(random),
        twin_(c, lanes, random),
        scalar_(Family::scalar(twin_.tables, lanes, c.bypass_precision)) {}

  void run() {
    Operands operands = make_operands(case_, random_);
    twin_.columns = twin_.header_bytes / 4 + 100 + case_.row_length * 12;
    std::vector<RowBytes> expected(static_cast<std::size_t>(case_.rows), scalar_.empty());
    Stream stream = twin_.fresh();
    check(twin_.rows_of(stream) == expected, name() + ": init_stream");
    const int pushes = random_.chance(0.3) && case_.row_length < 200 ? 2 : 1;
    for (int n = 0; n < pushes; ++n) {
      for (std::int64_t row = 0; row < case_.rows; ++row) {
        scalar_.encode(expected[static_cast<std::size_t>(row)], case_.row_length,
                       twin_.present(row), sequence(operands, row), tables_of(operands, row));
      }
      expect(twin_.push(stream, operands), Status::kOk, "push");
      check(twin_.rows_of(stream) == expected, name() + ": bytes of push " + std::to_string(n));
    }
    bad_arguments(stream, operands);
    no_space(operands);
    for (int n = 0; n < 3; ++n) broken(expected, operands);
    for (int n = 0; n < pushes; ++n) {
      Tensor symbols(case_.symbol_type, case_.total);
      expect(twin_.pop(stream, operands, symbols, n == pushes - 1), Status::kOk, "pop");
      for (std::int64_t i = 0; i < case_.total; ++i) {
        check(symbols.get(i) == operands.symbols.get(i), name() + ": symbols of pop");
      }
    }
    const std::vector<RowBytes> emptied(static_cast<std::size_t>(case_.rows), scalar_.emptied());
    check(twin_.rows_of(stream) == emptied, name() + ": rows after pop");
  }

 private:
  const std::string& name() const { return case_.name; }
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
    std::int64_t bad_symbol = random_.chance(0.5) ? -1 - (std::int64_t{1} << 40) - 100 : 500;
    if (case_.symbol_type == IntType::kUint8) bad_symbol = 255;
    if (bad_index) operands.indexes.set(i, random_.chance(0.5) ? -1 : case_.num_indexes());
    if (!bad_index) operands.symbols.set(i, bad_symbol);
    Stream stream = before;
    const auto results = twin_.push(stream, operands);
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
    check(twin_.rows_of(stream) == twin_.rows_of(before),
          name() + ": a failed push changes the stream");
    if (!bad_index) return;
    Tensor symbols(case_.symbol_type, case_.total);
    const auto popped = twin_.pop(stream, operands, symbols, false)[static_cast<std::size_t>(row)];
    check(popped.status == static_cast<std::int32_t>(Status::kBadIndex) &&
              popped.position == i % case_.row_length,
          name() + ": bad index of pop");
    check(twin_.rows_of(stream) == twin_.rows_of(before),
          name() + ": a failed pop changes the stream");
  }

  /// Rows without room: the push says how much it takes.
  void no_space(Operands& operands) {
    const std::int64_t columns = twin_.columns;
    Stream roomy = twin_.fresh();
    const auto needed = twin_.push(roomy, operands);
    std::int64_t most = 0;
    for (const auto& result : needed) most = std::max(most, result.end);
    twin_.columns = random_.between(1 + twin_.header_bytes / 4, (most + 3) / 4);
    Stream narrow = twin_.fresh();
    const auto before = twin_.rows_of(narrow);
    const auto results = twin_.push(narrow, operands);
    bool failed = false;
    for (std::size_t row = 0; row < results.size(); ++row) {
      const bool fits = needed[row].end <= 4 * twin_.columns;
      failed |= !fits;
      check(results[row].status == static_cast<std::int32_t>(fits ? Status::kOk : Status::kNoSpace),
            name() + ": status without room");
      check(results[row].end == needed[row].end, name() + ": how much room it takes");
    }
    if (failed) check(twin_.rows_of(narrow) == before, name() + ": a push without room");
    twin_.columns = columns;
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
        store(start, static_cast<std::int32_t>(twin_.header_bytes +
                                               (length - twin_.header_bytes) / 8 * 4));
        break;
      case 3:
        store(start, static_cast<std::int32_t>(random_.between(-9, 9) * (1 << 27)));
        break;
      case 4:
        for (std::int64_t b = 4 + twin_.header_bytes; b < 4 + length; ++b) {
          start[b] = static_cast<std::uint8_t>(random_.between(0, 255));
        }
        break;
      default:
        break;
    }
  }

  /// Flipped bits, cut and forged rows: exactly those are blamed that the format rules out.
  void broken(const std::vector<RowBytes>& full, const Operands& operands) {
    Stream stream = twin_.fresh();
    for (std::int64_t row = 0; row < case_.rows; ++row) {
      const RowBytes& row_bytes = full[static_cast<std::size_t>(row)];
      std::uint8_t* start = Twin::bytes(stream) + row * 4 * twin_.columns;
      store(start, static_cast<std::int32_t>(row_bytes.size()));
      std::memcpy(start + 4, row_bytes.data(), row_bytes.size());
      spoil(start);
    }
    const Stream before = stream;
    const bool require_end = random_.chance(0.5);
    Tensor symbols(case_.symbol_type, case_.total);
    const auto results = twin_.pop(stream, operands, symbols, require_end);
    bool all_good = true;
    for (std::int64_t row = 0; row < case_.rows; ++row) {
      Stream copy = before;
      const bool good =
          expect_row(Twin::bytes(copy) + row * 4 * twin_.columns, row, operands, symbols,
                     Twin::bytes(stream) + row * 4 * twin_.columns, require_end, !twin_.failed());
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
    if (length < twin_.header_bytes || length > 4 * twin_.columns - 4) return false;
    RowBytes row_bytes(start + 4, start + 4 + length);
    std::vector<std::int64_t> expected;
    const Sequence tables = tables_of_row(operands, row, [&expected](std::int64_t i) {
      return expected[static_cast<std::size_t>(i)];
    });
    if (!scalar_.decode(row_bytes, case_.row_length, twin_.present(row), tables, expected,
                        require_end)) {
      return false;
    }
    Tensor one(case_.symbol_type, 1);
    for (const std::int64_t symbol : expected) {
      one.set(0, symbol);
      if (one.get(0) != symbol) return false;
    }
    for (std::int64_t i = 0; i < twin_.present(row); ++i) {
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
  Random& random_;
  Twin twin_;
  typename Family::Scalar scalar_;
};

/// What the command line asks for.
struct Request {
  std::string family;
  int lanes;
  int seeds;
  std::string only;  ///< "contexts", "plain" or neither
};

template <typename Family>
void test_variant(const std::string& family, int lanes, const Request& request) {
  const bool contexts = request.only == "contexts", plain = request.only == "plain";
  const int seeds = request.seeds;
  for (int n = 0; n < (plain ? 1 : 3) * seeds; ++n) {
    const int lookup = n / seeds % Family::kLookups, seed = n % seeds;
    Random random(static_cast<std::uint64_t>(seed * 1000 + n / seeds * 100 + lanes));
    Case c = make_case(random, Family::kMaxFreqPrecision, lanes, lookup);
    const bool may_be_plain = lanes == 32 && lookup == 0 && !contexts;
    if (plain || (may_be_plain && random.chance(0.6))) make_plain(c, random);
    if (contexts) c.contexts = make_context_case(random, lanes, c.num_tables);
    if (c.contexts.order() > 0) c.with_indexes |= c.contexts.num_indexes > 1;
    if (contexts && random.chance(0.5)) {
      std::fill(c.offsets.begin(), c.offsets.end(), c.offsets[0]);
    }
    c.name = family + " lanes " + std::to_string(lanes) + " lookup " + std::to_string(lookup) +
             " seed " + std::to_string(seed);
    if (lanes == 32) {
      CoderTest<Family, 32>(c, lanes, random).run();
    } else if (lanes == 1) {
      CoderTest<Family, 1>(c, lanes, random).run();
    } else {
      CoderTest<Family, 0>(c, lanes, random).run();
    }
  }
  std::printf("%s lanes %d: ok\n", family.c_str(), lanes);
}

template <typename Family>
void test_family(const std::string& family, const Request& request) {
  if (request.family != "all" && request.family != family) return;
  for (const int lanes : {1, 2, 4, 8, 16, 32}) {
    if (request.lanes == 0 || request.lanes == lanes) {
      test_variant<Family>(family, lanes, request);
    }
  }
}

}  // namespace
}  // namespace torch_ans

int main(int argc, char** argv) {
  using namespace torch_ans;
  plant_defect();
  const Request request{argc > 1 ? argv[1] : "all", argc > 2 ? std::atoi(argv[2]) : 0,
                        argc > 3 ? std::atoi(argv[3]) : 12, argc > 4 ? argv[4] : ""};
  test_family<RansFamily<Rans64>>("rans64", request);
  test_family<RansFamily<Rans32>>("rans32", request);
  test_family<RansFamily<Rans32x16>>("rans32_16", request);
  test_family<TansFamily<2, 15>>("tans32", request);
  test_family<TansFamily<1, 15>>("tans16", request);
  test_family<TansFamily<1, 7>>("tans8", request);
  return 0;
}
