/// The coder's kernels on the twin, as the engine launches them.
#pragma once

#include "coder_case.h"
#include "families.h"

namespace torch_ans {

/// Streams are rows of `columns` words.
template <typename Family, int kFixedLanes>
class CoderOnTwin {
  using System = typename Family::System;
  static constexpr int kEncoderLanes = kFixedLanes == 32 ? 32 : 0;
  static constexpr gpu::ImageKind kKind = Family::kKind;

 public:
  using Stream = std::vector<std::uint32_t>;

  CoderOnTwin(const Case& c, int lanes, Random& random)
      : columns(0),
        header_bytes(Family::header_bytes(lanes)),
        tables(c.cdfs.data(), c.num_tables, c.width, c.sizes.data(), c.offsets.data(), c.options),
        case_(c),
        lanes_(lanes),
        random_(random),
        device_tables_(device_tables(tables)),
        image_(gpu::image_layout(device_tables_, kKind).end / 16 + 1),
        headers_(static_cast<std::size_t>(c.rows * header_bytes + 8)) {
    write_host_image(tables, kKind, image());
  }

  static std::uint8_t* bytes(Stream& stream) {
    return reinterpret_cast<std::uint8_t*>(stream.data());
  }

  /// Symbols of a row.
  std::int64_t present(std::int64_t row) const {
    const std::int64_t left = case_.total - row * case_.row_length;
    return std::max<std::int64_t>(0, std::min(left, case_.row_length));
  }

  std::vector<RowBytes> rows_of(Stream stream) const {
    std::vector<RowBytes> rows;
    for (std::int64_t row = 0; row < case_.rows; ++row) {
      const std::uint8_t* start = bytes(stream) + row * 4 * columns;
      const std::int64_t length = load<std::int32_t>(start);
      check(length >= 0 && length <= 4 * columns - 4, case_.name + ": a length word");
      rows.emplace_back(start + 4, start + 4 + length);
    }
    return rows;
  }

  Stream fresh() {
    Stream stream(static_cast<std::size_t>(case_.rows * columns), 0);
    launch({2, 64, 0}, random_, case_.name + ", init", [&] {
      gpu::init_kernel(bytes(stream), case_.rows, 4 * columns, Family::kFirstState,
                       static_cast<int>(header_bytes), kKind.state_bytes);
    });
    return stream;
  }

  std::vector<gpu::RowResult> push(Stream& stream, Operands& operands) {
    const gpu::HostTask host = describe(stream, operands.symbols, operands, true);
    gpu::CoderTask task = make_task(host);
    if (case_.contexts.order() > 0) {
      launch({2, 64, 0}, random_, case_.name + ", resolve", [&] { gpu::resolve_kernel(task); });
      task = gpu::with_chosen_tables(task);
    }
    const gpu::TablesPart part = gpu::part_to_stage(host);
    const gpu::PlainKind kind = plain_kind(task, true);
    if (kind != gpu::PlainKind::kNone) {
      with_kind(kind, [&](auto plain) { encode_plain<decltype(plain)>(task, part); });
      commit(task);
      return results_;
    }
    const Grid grid = make_grid(table_bytes(part), gpu::kEncoderWarpBytes<System, kEncoderLanes>);
    launch(grid, random_, case_.name + ", encode", [&] {
      if (case_.staged) {
        gpu::encode_kernel<System, kEncoderLanes, gpu::StagedTables>(task, part);
      } else {
        gpu::encode_kernel<System, kEncoderLanes, gpu::CachedTables>(task, part);
      }
    });
    commit(task);
    return results_;
  }

  std::vector<gpu::RowResult> pop(Stream& stream, const Operands& operands, Tensor& symbols,
                                  bool require_end) {
    const gpu::HostTask host = describe(stream, symbols, operands, false);
    gpu::CoderTask task = make_task(host);
    task.require_end = require_end;
    const bool follows = case_.contexts.order() > 0;
    const gpu::TablesPart part = gpu::part_to_stage(host);
    const gpu::PlainKind kind = plain_kind(task, false);
    if (kind != gpu::PlainKind::kNone) {
      with_kind(kind, [&](auto plain) { decode_plain<decltype(plain)>(task, part); });
      commit(task);
      return results_;
    }
    const Grid grid = make_grid(table_bytes(part), follows ? gpu::kDecoderWarpBytes<0>
                                                           : gpu::kDecoderWarpBytes<kFixedLanes>);
    launch(grid, random_, case_.name + ", decode", [&] {
      if (follows) {
        gpu::decode_kernel<System, 0, gpu::CachedTables, gpu::ContextChoice>(task, part);
      } else if (case_.staged) {
        gpu::decode_kernel<System, kFixedLanes, gpu::StagedTables>(task, part);
      } else {
        gpu::decode_kernel<System, kFixedLanes, gpu::CachedTables>(task, part);
      }
    });
    commit(task);
    return results_;
  }

  /// Whether the last call found fault with a row.
  bool failed() const { return failed_ != 0; }

  std::int64_t columns;
  const std::int64_t header_bytes;
  const CodingTables tables;

 private:
  std::uint8_t* image() { return reinterpret_cast<std::uint8_t*>(image_.data()); }

  gpu::HostTask describe(Stream& stream, Tensor& symbols, const Operands& operands, bool is_push) {
    gpu::HostTask host{};
    host.tables = &device_tables_;
    host.image = image();
    host.kind = kKind;
    host.lanes = lanes_;
    host.word_bytes = Family::kWordBytes;
    host.header_bytes = static_cast<int>(header_bytes);
    host.stream = bytes(stream);
    host.row_bytes = 4 * columns;
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
    return host;
  }

  gpu::CoderTask make_task(const gpu::HostTask& host) {
    gpu::CoderTask task = gpu::make_task(host);
    if (lanes_ < 32) task.rows_per_warp = 1 << random_.between(0, 5 - task.lanes_log2);
    return task;
  }

  std::size_t table_bytes(const gpu::TablesPart& part) const {
    const auto count = static_cast<std::uint32_t>(case_.num_tables);
    return case_.staged ? gpu::StagedTables::bytes(count, part) : 0;
  }

  /// What the engine would take plain kernels for, wherever tables would fit; half the cases that
  /// are not staged leave it to the others.
  gpu::PlainKind plain_kind(const gpu::CoderTask& task, bool is_push) {
    const bool taken = std::is_same_v<Family, RansFamily<Rans32x16>> && case_.staged;
    return taken ? gpu::plain_kind(task, is_push) : gpu::PlainKind::kNone;
  }

  template <typename Body>
  static void with_kind(gpu::PlainKind kind, const Body& body) {
    gpu::with_plain_kind(kind, [&](auto constant) {
      body(gpu::Plain<constant>{});
      return true;
    });
  }

  template <typename Tables>
  gpu::CoderTask with_copies(gpu::CoderTask task) {
    task.table_copies = 1u << random_.between(0, bit_width(Tables::kMostCopies) - 1);
    return task;
  }

  template <typename Plain>
  void encode_plain(const gpu::CoderTask& given, const gpu::TablesPart& part) {
    if constexpr (kFixedLanes == 32 && std::is_same_v<Family, RansFamily<Rans32x16>>) {
      using Tables = typename Plain::EncoderTables;
      const gpu::CoderTask task = with_copies<Tables>(given);
      const Grid grid =
          make_grid(Tables::bytes(task, part), gpu::kEncoderWarpBytes<System, kFixedLanes>);
      launch(grid, random_, case_.name + ", plain encode",
             [&] { gpu::encode_kernel<System, 32, Tables, typename Plain::Elements>(task, part); });
    }
  }

  template <typename Plain>
  void decode_plain(const gpu::CoderTask& given, const gpu::TablesPart& part) {
    if constexpr (kFixedLanes == 32 && std::is_same_v<Family, RansFamily<Rans32x16>>) {
      using Tables = typename Plain::DecoderTables;
      const gpu::CoderTask task = with_copies<Tables>(given);
      const Grid grid = make_grid(Tables::bytes(task, part), gpu::kDecoderWarpBytes<kFixedLanes>);
      launch(grid, random_, case_.name + ", plain decode", [&] {
        gpu::decode_kernel<System, 32, Tables, gpu::IndexedChoice, typename Plain::Elements>(task,
                                                                                             part);
      });
    }
  }

  Grid make_grid(std::size_t table_bytes, std::size_t warp_bytes) {
    const auto warps = static_cast<unsigned>(random_.between(1, 2));
    return {static_cast<unsigned>(random_.between(1, 3)), 32 * warps,
            table_bytes + warps * warp_bytes};
  }

  void commit(const gpu::CoderTask& task) {
    launch({2, 32, 0}, random_, case_.name + ", commit",
           [&] { gpu::commit_kernel(task, static_cast<std::uint32_t>(header_bytes / 4)); });
  }

  struct alignas(16) Line {
    std::uint8_t bytes[16];
  };

  const Case& case_;
  const int lanes_;
  Random& random_;
  const gpu::DeviceTables device_tables_;
  std::vector<Line> image_;
  std::vector<std::uint8_t> headers_;
  std::vector<std::uint16_t> scratch_;
  std::vector<gpu::RowResult> results_;
  std::uint32_t failed_ = 0;
};

}  // namespace torch_ans
