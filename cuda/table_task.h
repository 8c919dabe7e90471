/// What making tables asks of the CUDA engine. Plain data, passed to kernels by value; all pointers
/// name device memory.
#pragma once

#include "device_tables.h"
#include "torch_ans/inverse_cdf.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// To check CDFs and find the place of each table in an image.
struct PlanTask {
  TableSource source;
  bool bypass_coding;
  bool alias;
  std::int32_t bucket_bits;  ///< as TablesOptions::inverse_cdf_precision
  std::uint32_t tolerated;   ///< slots of a table that may stay unresolved
  std::int64_t max_buckets;
  TableInfo* infos;  ///< (num_tables,)
  TablesSummary* summary;
};

inline PlanTask plan_task(const TableSource& source, const TablesOptions& options, TableInfo* infos,
                          TablesSummary* summary) {
  check_options(options);
  return {source,
          options.bypass_coding,
          options.alias,
          options.inverse_cdf_precision,
          tolerated_slots(source.num_tables, options.freq_precision),
          static_cast<std::int64_t>(kMaxBuckets),
          infos,
          summary};
}

/// To fill an image, which holds zeros, from CDFs that have been checked.
struct FillTask {
  const std::int32_t* cdfs;  ///< (num_tables, width)
  std::int64_t num_tables;
  std::int64_t width;
  const TableInfo* infos;
  std::int32_t freq_precision;
  bool bypass_coding;
  bool alias;
  ImageKind kind;
  ImageLayout layout;
  std::uint8_t* image;
};

inline FillTask fill_task(const DeviceTables& tables, const std::int32_t* cdfs, std::int64_t width,
                          const TableInfo* infos, const ImageKind& kind, std::uint8_t* image) {
  return {cdfs,
          tables.num_tables,
          width,
          infos,
          tables.options.freq_precision,
          tables.options.bypass_coding,
          tables.options.alias,
          kind,
          image_layout(tables, kind),
          image};
}

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
