#include "tasks/ingest.h"

#include "base/error.h"
#include "base/log.h"
#include "ingest/gaps.h"
#include "ingest/ingest.h"
#include "ingest/verify.h"

namespace hardmoe {

namespace {

IngestOptions options_of(const IngestTask& task, const Config& config) {
  return {config.ingest, task.out, config.seed, task.retry_failed, task.force};
}

}  // namespace

std::string make_dataset(const IngestTask& task, const Config& config) {
  const IngestOptions options = options_of(task, config);
  const auto [was_done, counts] = ingest(options);
  if (was_done) log_info("{}: already done", options.out.string());
  for (const auto& gap : ingest_gaps(options, counts)) log_warning("{}", gap);
  return ingest_table(counts, options.out);
}

std::string preview_dataset(const IngestTask& task, const Config& config) {
  return describe_sources(options_of(task, config));
}

void verify(const std::filesystem::path& dataset,
            const std::function<void(const std::string&)>& print) {
  const Verification found = verify_dataset(dataset);
  print(describe(found, dataset));
  if (!found.faults.empty()) fail("{}: faults: {}", dataset.string(), found.faults.size());
}

}  // namespace hardmoe
