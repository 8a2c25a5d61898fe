// Scripts for Slurm; what Slurm makes of them: tests/slurm.
#include "run/slurm_scripts.h"

#include <gtest/gtest.h>

#include "expect_error.h"
#include "planned.h"
#include "run/slurm_submit.h"

namespace hardmoe {
namespace {

const SlurmRun slurm_run{"runs/k2", "/opt/bin/moe-run", "/home/me"};

const SlurmScript& script(const std::vector<SlurmScript>& scripts, const std::string& name) {
  return *std::ranges::find(scripts, name, &SlurmScript::name);
}

TEST(SlurmScripts, AreOneForEachStageAndOneForAllExperts) {
  const Pipeline pipeline = plan(small());
  std::vector<std::string> names;
  const auto scripts = slurm_scripts(pipeline.stages, small(), slurm_run);
  for (const SlurmScript& one : scripts) names.push_back(one.name);
  EXPECT_EQ(join(names, ", "),
            "ingest, base, embedding, partition, expert, longer, decoder, evaluation base, "
            "evaluation longer, evaluation local, evaluation shared");
  EXPECT_EQ(script(scripts, "evaluation local").file, "runs/k2/slurm/evaluation-local.sbatch");
  EXPECT_TRUE(script(scripts, "expert").is_array);
  EXPECT_EQ(script(scripts, "expert").stages.size(), 2U);
}

TEST(SlurmScripts, RunTheLineThatAPersonCouldType) {
  Config config = small();
  config.device = "cuda";
  config.run.parallel = 4;
  config.run.retries = 2;
  config.slurm = {.partition = "gpu",
                  .account = "vision",
                  .time = "12:00:00",
                  .memory = "32G",
                  .cpus = 8,
                  .gpus = 1,
                  .grace = 300,
                  .setup = {"module load cuda"},
                  .options = {"--constraint=a100"}};
  const auto scripts = slurm_scripts(plan(config).stages, config, slurm_run);
  const std::string experts = script(scripts, "expert").text;
  for (const char* line :
       {"#!/bin/bash\n", "#SBATCH --job-name=k2:expert\n", "#SBATCH --chdir=/home/me\n",
        "#SBATCH --output=runs/k2/slurm/expert-%A_%a.txt\n", "#SBATCH --open-mode=append\n",
        "#SBATCH --requeue\n", "#SBATCH --signal=B:TERM@300\n", "#SBATCH --partition=gpu\n",
        "#SBATCH --account=vision\n", "#SBATCH --time=12:00:00\n", "#SBATCH --mem=32G\n",
        "#SBATCH --cpus-per-task=8\n", "#SBATCH --gpus=1\n", "#SBATCH --constraint=a100\n",
        "\nmodule load cuda\npart=$(( ${1:-0} + SLURM_ARRAY_TASK_ID ))\n"
        "/opt/bin/moe-run runs/k2/config.yaml --out runs/k2 --threads 8 --device cuda --parallel 1 "
        "--gpus 0 --retries 0 --only \"expert $part\" &\n",
        "  *)   again=2 ;;\n"}) {
    EXPECT_NE(experts.find(line), std::string::npos) << line << "\n" << experts;
  }
  EXPECT_NE(script(scripts, "evaluation local").text.find(" --only 'evaluation local' &\n"),
            std::string::npos);
}

TEST(SlurmScripts, FoldersMayHaveAnyName) {
  const SlurmRun odd{"runs/50% \"new\"", "/opt/my bin/moe-run", "/home/a b"};
  const auto scripts = slurm_scripts(plan(small()).stages, small(), odd);
  const std::string& text = scripts[0].text;
  for (const char* line :
       {"#SBATCH \"--chdir=/home/a b\"\n",
        "#SBATCH \"--output=runs/50%% \\\"new\\\"/slurm/ingest-%j.txt\"\n",
        "'/opt/my bin/moe-run' 'runs/50% \"new\"/config.yaml' --out 'runs/50% \"new\"' "}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
  }
}

TEST(SlurmScripts, AnArrayIsCutWhereTheClustersLimitIs) {
  Config config = small();
  config.partition.experts = 1024;
  const Pipeline pipeline = plan(config);
  std::vector<size_t> experts;
  for (size_t i = 0; i < pipeline.stages.size(); ++i) {
    if (pipeline.stages[i].part >= 0) experts.push_back(i);
  }
  std::string plan_text;
  print_slurm_plan(pipeline.stages, experts, config, slurm_run,
                   [&](const std::string& text) { plan_text += text; });
  EXPECT_TRUE(plan_text.starts_with(
      "# sbatch --array=0-1000 runs/k2/slurm/expert.sbatch\n"
      "# sbatch --array=0-22 runs/k2/slurm/expert.sbatch 1001\n#!/bin/bash\n"))
      << plan_text.substr(0, 300);
}

TEST(SlurmScripts, NumbersAreWrittenAsRanges) {
  EXPECT_EQ(array_text({0, 1, 2, 3, 7, 9, 10}), "0-3,7,9-10");
  EXPECT_EQ(array_text({5}), "5");
  SlurmConfig config;
  config.grace = 0;
  expect_error([&] { check_slurm_config(config); }, {"slurm.grace: expected 1 to 65535, found 0"},
               ExitStatus::usage);
}

}  // namespace
}  // namespace hardmoe
