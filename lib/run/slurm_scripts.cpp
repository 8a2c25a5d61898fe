#include "run/slurm_scripts.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "run/child_process.h"

namespace hardmoe {
namespace {

constexpr int most_interruptions = 1000;  // after which a job is not queued again

/// Returns the name of a stage without its part's number: "random expert" of "random expert 3".
std::string script_name(const RunStage& stage) {
  const std::string& name = stage.process.name;
  return stage.part < 0 ? name : name.substr(0, name.rfind(' '));
}

/// Returns the option as a line of the script has it: sbatch reads quoted words as a shell does.
std::string directive(const std::string& option) {
  if (option.find_first_of(" \t\"\\") == std::string::npos) return "#SBATCH " + option + '\n';
  std::string quoted;
  for (const char c : option)
    quoted += c == '"' || c == '\\' ? std::string{'\\', c} : std::string{c};
  return "#SBATCH \"" + quoted + "\"\n";
}

/// Returns a path as Slurm's patterns of file names take it: "%" is "%%".
std::string pattern_of(const std::string& path) {
  std::string pattern;
  for (const char c : path) pattern += c == '%' ? std::string("%%") : std::string{c};
  return pattern;
}

/// Returns the options of sbatch.
std::vector<std::string> options_of(const SlurmScript& script, const SlurmConfig& config,
                                    const SlurmRun& run) {
  const auto log = pattern_of((run.out / "slurm" / script.file.stem()).string());
  std::vector<std::string> options = {
      "--job-name=" + run.out.filename().string() + ":" + script.file.stem().string(),
      "--chdir=" + run.folder.string(),
      "--output=" + log + (script.is_array ? "-%A_%a.txt" : "-%j.txt"),
      "--open-mode=append",
      "--requeue",
      fmt::format("--signal=B:TERM@{}", config.grace),
      "--nodes=1",
      "--ntasks=1"};
  const auto add = [&](const char* option, const std::string& value) {
    if (!value.empty()) options.push_back(option + value);
  };
  add("--partition=", config.partition);
  add("--account=", config.account);
  add("--time=", config.time);
  add("--mem=", config.memory);
  if (config.cpus > 0) options.push_back(fmt::format("--cpus-per-task={}", config.cpus));
  if (config.gpus > 0) options.push_back(fmt::format("--gpus={}", config.gpus));
  options.insert(options.end(), config.options.begin(), config.options.end());
  return options;
}

/// Returns the line that runs the script's stage.
std::string command_of(const SlurmScript& script, const Config& config, const SlurmRun& run) {
  std::vector<std::string> words = {run.program, run.out / "config.yaml", "--out", run.out};
  if (config.slurm.cpus > 0) {
    words.insert(words.end(), {"--threads", std::to_string(config.slurm.cpus)});
  }
  // A job has what it was given to itself, and Slurm starts again what fails.
  words.insert(words.end(),
               {"--device", config.device, "--parallel", "1", "--gpus", "0", "--retries", "0"});
  words.emplace_back("--only");
  const std::string line = shell_line(words);
  if (script.is_array) return fmt::format("{} \"{} $part\"", line, script.name);
  return line + ' ' + shell_line({script.name});
}

std::string text_of(const SlurmScript& script, const Config& config, const SlurmRun& run) {
  std::string text = "#!/bin/bash\n";
  for (const auto& option : options_of(script, config.slurm, run)) text += directive(option);
  text += "\n# Written by moe-run --launcher slurm.\n";
  for (const auto& line : config.slurm.setup) text += line + '\n';
  if (script.is_array) text += "part=$(( ${1:-0} + SLURM_ARRAY_TASK_ID ))\n";
  text += command_of(script, config, run) + " &\nstage=$!\n";
  text += fmt::format(
      R"sh(
# Slurm's signal before the time limit reaches this shell alone; the stage saves and ends with status 75.
trap 'kill -TERM $stage' TERM
wait $stage; status=$?
while [ $status -gt 128 ] && kill -0 $stage 2>/dev/null; do wait $stage; status=$?; done

# Queued again: what was interrupted, and what failed, {1} times at most; not what was wrongly asked for (2),
# nor a job that is being cancelled, or queued again by Slurm.
case $status in
  0|2) again=0 ;;
  75)  again={0} ;;
  *)   again={1} ;;
esac
if [ "${{SLURM_RESTART_COUNT:-0}}" -lt $again ] &&
    [ "$(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%T)" = RUNNING ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit $status
)sh",
      most_interruptions, config.run.retries);
  return text;
}

}  // namespace

std::vector<SlurmScript> slurm_scripts(const std::vector<RunStage>& stages, const Config& config,
                                       const SlurmRun& run) {
  std::vector<SlurmScript> scripts;
  for (const size_t number : order_of(stages)) {
    const RunStage& stage = stages[number];
    const std::string name = script_name(stage);
    auto script = std::ranges::find(scripts, name, &SlurmScript::name);
    if (script == scripts.end()) {
      std::string file = name;
      std::ranges::replace(file, ' ', '-');
      script = scripts.insert(scripts.end(), {.name = name,
                                              .is_array = stage.part >= 0,
                                              .file = run.out / "slurm" / (file + ".sbatch")});
    }
    script->stages.push_back(number);
  }
  for (SlurmScript& script : scripts) {
    std::ranges::sort(script.stages, {}, [&](size_t number) { return stages[number].part; });
    script.text = text_of(script, config, run);
  }
  return scripts;
}

std::string array_text(const std::vector<int>& numbers) {
  std::vector<std::string> pieces;
  for (size_t begin = 0, end = 0; begin < numbers.size(); begin = end) {
    end = begin + 1;
    while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) ++end;
    const int first = numbers[begin], last = numbers[end - 1];
    pieces.push_back(first == last ? std::to_string(first) : fmt::format("{}-{}", first, last));
  }
  return join(pieces, ",");
}

void check_slurm_config(const SlurmConfig& config) {
  const auto check = [](const char* name, int value, int least, int most) {
    if (value >= least && value <= most) return;
    fail_usage("slurm.{}: expected {} to {}, found {}", name, least, most, value);
  };
  check("cpus", config.cpus, 0, 100'000);
  check("gpus", config.gpus, 0, 1024);
  check("grace", config.grace, 1, 65'535);
}

}  // namespace hardmoe
