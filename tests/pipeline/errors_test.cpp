// Mistakes: what each is answered with. One sentence on standard error that says what, where, what
// was found and what to do; the documented exit status; and nothing left behind that stops the
// corrected command.
#include <sys/mount.h>

#include "engine/engine.h"
#include "pipeline/commands.h"

namespace hardmoe {
namespace {

struct Mistake {
  std::string line;
  int status;
  std::vector<std::string> words;
};

class Mistakes : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder / name).parent_path());
    std::ofstream(folder / name, std::ios::trunc) << text;
  }

  /// The configuration and dataset `data`; with the whole method under `run`, where asked.
  void prepare(bool trained) const {
    write_pictures(folder.path(), 160);
    write("c.yaml", std::string(small_config) + "run: {dataset: data, controls: false}\n");
    output_of(folder.path(), "moe-ingest images.jsonl --val-fraction 0.2 --out data");
    if (!trained) return;
    output_of(folder.path(),
              "moe-run c.yaml --out run --set base.epochs=1 --set expert.epochs=1 "
              "--set decoder.epochs=1");
  }

  void expect(const Mistake& mistake) const {
    const Outcome outcome = run(folder.path(), mistake.line);
    SCOPED_TRACE(mistake.line + "\n" + outcome.err);
    EXPECT_EQ(outcome.status, mistake.status);
    EXPECT_EQ(outcome.out, "");
    for (const auto& word : mistake.words) {
      EXPECT_NE(outcome.err.find(word), std::string::npos) << "it does not say: " << word;
    }
    // One sentence, from the command itself; what it lists is indented.
    std::vector<std::string> sentences;
    for (const auto& line : split(trim(outcome.err), '\n')) {
      if (!line.starts_with("  ")) sentences.push_back(line);
    }
    EXPECT_EQ(sentences.size(), 1U);
    EXPECT_TRUE(sentences.back().starts_with("moe-"));
  }

  TemporaryFolder folder;
};

TEST_F(Mistakes, OfUsageAndConfigurationAreNamedWithARemedy) {
  prepare(false);
  write("key.yaml", "seed: 1\nbase:\n  lrr: 0.1\n");
  write("type.yaml", "base:\n  epochs: many\n");
  write("broken.yaml", "base: [\n");
  write("empty.yaml", "");
  write("top.yaml", "run: {dataset: data}\npartition: {experts: 2}\neval: {top_experts: 3}\n");
  write("old.yaml", "run:\n  sources: [images.jsonl]\n");
  write("older.yaml", "run:\n  ingest_options: [--resize, \"8\"]\n");
  write("late.yaml", "run: {dataset: data}\ndecoder: {epochs: -1}\n");
  const std::vector<Mistake> table = {
      {"moe-train-base", 2, {"DATASET", "required"}},
      {"moe-train-base data", 2, {"--out", "required"}},
      {"moe-train-base data --out x --epcohs 3", 2, {"--epcohs", "did you mean --epochs?"}},
      {"moe-eval data --modle=run", 2, {"--modle", "did you mean --model?"}},
      {"moe-embed data --mdoel base", 2, {"unknown option --mdoel", "did you mean --model?"}},
      {"moe-train-base data --out x --zzzzzzzz", 2, {"--zzzzzzzz", "--help"}},
      {"moe-train-base data --out x --lr", 2, {"--lr"}},
      {"moe-train-base data more --out x", 2, {"more"}},
      {"moe-train-base data --out x --config key.yaml",
       2,
       {"key.yaml, line 3", "'base.lrr'", "did you mean 'base.lr'?"}},
      {"moe-train-base data --out x --config type.yaml",
       2,
       {"type.yaml, line 2", "'base.epochs' takes a number, found 'many'"}},
      {"moe-train-base data --out x --config broken.yaml", 2, {"broken.yaml, line", "YAML"}},
      {"moe-train-base data --out x --config no.yaml", 2, {"no.yaml: no such configuration"}},
      {"moe-train-base data --out x --epochs ten", 2, {"'base.epochs' takes a number", "'ten'"}},
      {"moe-train-base data --out x --set base.optimiser=sgd", 2, {"'base.optimizer'"}},
      {"moe-train-base data --out x --set lr", 2, {"--set lr: expected KEY=VALUE"}},
      {"moe-train-base data --out x --lr -1", 2, {"base.lr: expected at least 0, found -1"}},
      {"moe-train-base data --out x --depth 19", 2, {"model.depth", "18, 34 or 50", "found 19"}},
      {"moe-train-base data --out x --width 0", 2, {"model.width", "found 0"}},
      {"moe-train-base data --out x --threads -3", 2, {"--threads: expected 1 to 1024"}},
      {"moe-train-base data --out x --device gpu", 2, {"device", "cpu, cuda or cuda:N", "'gpu'"}},
      {"moe-train-base data --out x --set base.augment.min_area=2", 2, {"min_area"}},
      {"moe-train-base nowhere --out x", 2, {"nowhere/dataset.json", "moe-ingest"}},
      {"moe-ingest nowhere.tar --out x", 2, {"nowhere.tar"}},
      {"moe-ingest images.jsonl --val-fraction 2 --out x", 2, {"ingest.val_fraction", "found 2"}},
      {"moe-ingest images.jsonl --verify data", 2, {"--verify: expected one dataset, found 2"}},
      {"moe-ingest --verify", 2, {"--verify: expected one dataset, found 0"}},
      {"moe-ingest images.jsonl --resize big --out x",
       2,
       {"--resize: 'ingest.resize' takes a whole number, found 'big'"}},
      {"moe-ingest images.jsonl --resize 1.5 --out x", 2, {"takes a whole number, found '1.5'"}},
      {"moe-tags data --top ten", 2, {"--top: expected a number, found 'ten'; see --help"}},
      {"moe-tags data --top 1.5", 2, {"expected a whole number, found '1.5'"}},
      {"moe-tags data --top 99999999999", 2, {"expected a smaller number"}},
      {"moe-tags data --tag rad", 2, {"--tag: 'rad'", "did you mean 'red'?"}},
      {"moe-tags nowhere", 2, {"nowhere/dataset.json", "moe-ingest"}},
      {"moe-eval data", 2, {"--model DIR", "--base, --partition and --experts"}},
      {"moe-eval data --model a --base b", 2, {"--base", "--model"}},
      {"moe-eval data --base b --experts e", 2, {"a mixture needs --partition, too"}},
      {"moe-run empty.yaml --out r", 2, {"ingest.sources", "run.dataset"}},
      {"moe-run old.yaml --out r",
       2,
       {"old.yaml, line 2", "'run.sources' is no key any more", "'ingest.sources'"}},
      {"moe-run older.yaml --out r",
       2,
       {"older.yaml, line 2", "'run.ingest_options'", "ingest: {val_fraction: 0.1}"}},
      {"moe-ingest images.jsonl --workers 2 --out x", 2, {"--workers is no option", "--threads"}},
      {"moe-ingest images.jsonl --columns tag=x --out x",
       2,
       {"'tag' is not one of them", "did you mean 'tags'?"}},
      {"moe-partition e.npy --split p --out x", 2, {"--split is no option", "--halve-largest"}},
      {"moe-partition e.npy --extend p --out x", 2, {"--extend is no option", "--add-expert"}},
      {"moe-partition e.npy --experts 4 --out x",
       2,
       {"--experts: goes with --reroute", "--num-experts"}},
      {"moe-partition e.npy --data d --out x", 2, {"--data is no option", "DATASET EMBEDDING"}},
      {"moe-bench-loader data --images 5", 2, {"--images is no option", "--max-images"}},
      {"moe-run no.yaml --out r", 2, {"no.yaml: no such configuration"}},
      {"moe-run data --out r", 2, {"data: it is a folder", "YAML"}},
      {"moe-run c.yaml --config c.yaml --out r", 2, {"--config"}},
      {"moe-run top.yaml --out r", 2, {"eval.top_experts: expected 1 to 2, found 3"}},
      {"moe-run late.yaml --out r", 2, {"decoder.epochs", "found -1"}},
      {"moe-run c.yaml --out r --parallel 0", 2, {"run.parallel", "found 0"}},
      {"moe-run c.yaml --out r --set partition.experts=0", 2, {"partition.experts", "found 0"}},
  };
  for (const auto& mistake : table) expect(mistake);
  EXPECT_FALSE(fs::exists(folder / "x/stage.json")) << "a refused command may not take the folder";
  EXPECT_FALSE(fs::exists(folder / "r"));
}

TEST_F(Mistakes, OfIngestAreMendedInTheSameFolder) {
  write_pictures(folder.path(), 16);
  fs::create_directories(folder / "empty");
  output_of(folder.path(), "sed s/tags/labels/ images.jsonl > labels.jsonl");
  expect({"moe-ingest empty --out x", 2, {"empty: no images there", "image files (JPEG, PNG"}});
  expect({"moe-ingest pictures --out x",
          2,
          {"no item of pictures can be used", "0000 (pictures/0000.png) has no tags",
           "not in a subfolder of pictures", "no 0000.json or 0000.txt", "see x/rejected.jsonl"}});
  expect({"moe-ingest labels.jsonl --out x",
          2,
          {"no item of labels.jsonl can be used", "(labels.jsonl, line 1) has no tags",
           "no field 'tags' among 'image', 'labels', 'truth'", "--columns tags=NAME",
           "see x/rejected.jsonl"}});
  const std::string table =
      output_of(folder.path(), "moe-ingest labels.jsonl --columns tags=labels --out x");
  EXPECT_NE(table.find("no split 'val' to evaluate on: --val-fraction"), std::string::npos);
  EXPECT_EQ(table.find("rejected"), std::string::npos) << table;
  expect({"moe-ingest images.jsonl --out x",
          2,
          {"x: made from other sources", "--force", "\n  added ", "images.jsonl\n  gone "}});
}

TEST_F(Mistakes, OfDevicesAreNamedWithARemedy) {
  prepare(false);
  const auto engine = make_engine("cpu");
  if (!engine->supports(Precision::bf16)) {
    expect({"moe-train-base data --out x --precision bf16 --quiet", 2, {"bf16", "use fp32"}});
  }
  expect({"moe-train-base data --out x --precision tf32 --quiet", 2, {"tf32", "CPU", "use fp32"}});
  expect({"moe-run c.yaml --out r --gpus 2", 2, {"run.gpus", "device is cpu", "--device cuda"}});
  bool cuda = true;
  try {
    make_engine("cuda");
  } catch (const Error&) {
    cuda = false;
  }
  if (!cuda) {
    expect({"moe-train-base data --out x --device cuda", 2, {"cuda", "--device cpu"}});
    expect({"moe-partition e.npy --out p --device cuda:7", 2, {"cuda:7", "--device cpu"}});
    expect({"moe-run c.yaml --out r --device cuda", 2, {"cuda", "--device cpu"}});
    EXPECT_FALSE(fs::exists(folder / "r/base")) << "the first stage may not begin";
    expect({"moe-device --device cuda:2", 2, {"cuda"}});
  }
}

TEST_F(Mistakes, OfInputsThatDoNotBelongTogetherAreRefused) {
  prepare(true);
  write_pictures(folder / "b", 160, "b-");
  output_of(folder.path(), "moe-ingest b/images.jsonl --val-fraction 0.2 --out other");
  // The same pictures in another order: as many, of the same tags.
  output_of(folder.path(),
            "tac images.jsonl > reversed.jsonl; moe-ingest reversed.jsonl --val-fraction 0.2 --out "
            "reversed");
  // Another base, and a partition by it.
  output_of(
      folder.path(),
      "moe-train-base data --config c.yaml --epochs 1 --seed 2 --out base2 && moe-embed data "
      "--model base2 --out embedding2 && moe-partition embedding2 --num-experts 2 --out part2");
  output_of(folder.path(),
            "cp -r run/experts swapped; rm -r swapped/1; cp -r swapped/0 swapped/1; cp -r "
            "run/experts missing; rm -r missing/1");
  const std::string mixture = " --base run/base --partition run/partition";
  const std::string expert = "moe-train-expert data" + mixture;
  const std::vector<Mistake> table = {
      {"moe-eval other --model run/base", 2, {"run/base", "other", "not the same", "train again"}},
      {"moe-embed data --out x", 2, {"--model DIR", "--experts"}},
      {"moe-embed data --base run/base --out x", 2, {"--partition and --experts"}},
      {"moe-embed data --model run --out x", 2, {"run/model.yaml", "run/base"}},
      {"moe-embed data/dataset.json --model run/base --out x", 2, {"is a file", "moe-ingest"}},
      {"moe-embed data --model data --out x", 2, {"data/model.yaml", "moe-train-base"}},
      {"moe-embed data --model run/base --split vla --out x", 2, {"'vla'", "train, val"}},
      {"moe-eval data --model run/base --split test", 2, {"'test'", "train, val"}},
      {"moe-partition data --out x", 2, {"data", "moe-ingest", "moe-embed"}},
      {"moe-partition data other run/embedding --out x", 2, {"data and other", "both datasets"}},
      {"moe-partition other run/embedding --out x", 2, {"other", "is not what was embedded"}},
      {"moe-embed data --model run/base --split train,val --out x",
       2,
       {"--split train,val", "name several as --split train val"}},
      {"moe-eval data" + mixture + " --experts run/experts/0",
       2,
       {"--experts run/experts/0", "the folder of one model", "perhaps run/experts"}},
      {"moe-partition nowhere --out x", 2, {"nowhere", "moe-embed"}},
      {"moe-partition run/embedding --halve-largest run/partition --num-experts 9 --out x",
       2,
       {"--num-experts"}},
      {"moe-partition run/embedding --num-experts 1000 --out x", 2, {"1000 experts", "at most"}},
      {"moe-partition run/embedding --method top-tag --out x",
       2,
       {"--method top-tag", "moe-partition DATASET EMBEDDING"}},
      {"moe-partition other run/embedding --method top-tag --out x",
       2,
       {"run/embedding", "another dataset than other"}},
      {expert + " --expert 2 --out x", 2, {"--expert 2", "experts 0 to 1"}},
      {expert + " --expert -1 --out x", 2, {"--expert", "from 0 or 'all'", "'-1'"}},
      {expert + " --expert one --out x", 2, {"--expert", "'one'"}},
      {"moe-train-expert data --base run/base --expert 0 --out x", 2, {"--partition DIR"}},
      {"moe-train-expert data --base run/base --expert all --partition part2 --out x",
       2,
       {"--expert all", "leave --partition part2 out"}},
      {"moe-train-expert reversed" + mixture + " --expert 0 --out x",
       2,
       {"run/partition", "another dataset"}},
      {"moe-train-expert data --base run/base --partition part2 --expert 0 --out x",
       2,
       {"part2", "another model than run/base"}},
      {"moe-train-decoder data" + mixture + " --experts missing --out x",
       2,
       {"missing/1: no trained expert", "--expert 1"}},
      {"moe-train-decoder data" + mixture + " --experts swapped --out x",
       2,
       {"swapped/1", "as another expert"}},
      {"moe-train-decoder reversed" + mixture + " --experts run/experts --out x",
       2,
       {"run/partition", "another dataset"}},
      {"moe-eval data --base run/base --partition run/base --experts run/experts",
       2,
       {"run/base/partition.json", "moe-partition"}},
      {"moe-eval data --base base2 --partition part2 --experts run/experts",
       2,
       {"run/experts/0", "another base"}},
      {"moe-eval data" + mixture + " --experts run/experts --top-experts 3",
       2,
       {"eval.top_experts: expected 1 to 2, found 3"}},
      {"moe-eval data" + mixture + " --experts run/experts --decoder run/base",
       2,
       {"run/base/decoder.safetensors", "moe-train-decoder"}},
      {"moe-eval data --model run/base --force --out run/decoder",
       2,
       {"run/decoder: holds the result of `moe-train-decoder`", "another --out"}},
  };
  for (const auto& mistake : table) expect(mistake);
  EXPECT_FALSE(fs::exists(folder / "x/stage.json")) << "a refused command may not take the folder";
}

TEST_F(Mistakes, PartsOfOtherMixturesAreRefused) {
  prepare(true);
  const std::string quiet = " --config c.yaml --epochs 1 --quiet";
  const auto train = [&](const std::string& data, const std::string& mixture, int experts,
                         const std::string& out) {
    for (int k = 0; k < experts; ++k) {
      output_of(folder.path(), fmt::format("moe-train-expert {}{} --expert {} --out {}/{}{}", data,
                                           mixture, k, out, k, quiet));
    }
  };
  // Three experts and their decoder; one of two experts trained again.
  const std::string base = " --base run/base", two = base + " --partition run/partition";
  const std::string three = base + " --partition part3";
  output_of(folder.path(),
            "moe-partition run/embedding --config c.yaml --num-experts 3 --out part3");
  train("data", three, 3, "three");
  output_of(folder.path(),
            "moe-train-decoder data" + three + " --experts three --out decoder3" + quiet);
  output_of(folder.path(), "cp -r run/experts again; rm -r again/1");
  output_of(folder.path(),
            "moe-train-expert data" + two + " --expert 1 --lr 0.01 --out again/1" + quiet);
  // The same images in another order and a partition by chance, which gives each expert the same
  // numbers: of other images.
  output_of(
      folder.path(),
      "tac images.jsonl > reversed.jsonl; moe-ingest reversed.jsonl --val-fraction 0.2 --out "
      "reversed; moe-embed reversed --model run/base --out embedding2; for d in run/embedding "
      "embedding2; do moe-partition $d --method random --num-experts 2 --out "
      "random-$(dirname $d); done; mv random-. random-reversed");
  train("reversed", base + " --partition random-reversed", 2, "reversed-experts");
  // Another base with a decoder of its own.
  output_of(folder.path(), "moe-train-base data --seed 2 --out base2" + quiet);
  output_of(folder.path(),
            "moe-embed data --model base2 --out e2; moe-partition e2 --num-experts 2 --out p2");
  train("data", " --base base2 --partition p2", 2, "experts2");
  output_of(folder.path(),
            "moe-train-decoder data --base base2 --partition p2 --experts experts2 --out decoder2" +
                quiet);
  const std::string eval = "moe-eval data";
  const std::vector<Mistake> table = {
      {eval + two + " --experts run/experts --decoder decoder3",
       2,
       {"decoder3: this decoder was trained for another partition and 3 experts, not 2",
        "--stale-decoder"}},
      {eval + three + " --experts three --decoder run/decoder",
       2,
       {"run/decoder: this decoder was trained for another partition and 2 experts, not 3"}},
      {eval + two + " --experts again --decoder run/decoder",
       2,
       {"run/decoder: this decoder was trained for another training of experts 1;",
        "--stale-decoder"}},
      {eval + two + " --experts run/experts --decoder decoder2 --stale-decoder",
       2,
       {"decoder2: this decoder was trained over experts of another base"}},
      {eval + two + " --experts run/experts --stale-decoder", 2, {"--stale-decoder", "--decoder"}},
      {eval + three + " --experts run/experts", 2, {"run/experts/", "another partition"}},
      {eval + two + " --experts experts2",
       2,
       {"experts2/0: this expert was trained from another base"}},
      {eval + base + " --partition p2 --experts experts2",
       2,
       {"p2", "another model than run/base"}},
      {eval + " --base base2 --partition run/partition --experts run/experts",
       2,
       {"run/partition", "another model than base2"}},
      {eval + base + " --partition random-run --experts reversed-experts",
       2,
       {"reversed-experts/0: this expert was trained on another dataset"}},
      {"moe-embed data --out x" + base + " --partition random-run --experts reversed-experts",
       2,
       {"reversed-experts/0: this expert was trained on another dataset"}},
  };
  for (const auto& mistake : table) expect(mistake);
  const Outcome stale = run(
      folder.path(), eval + two + " --experts again --decoder run/decoder --stale-decoder --quiet");
  EXPECT_EQ(stale.status, 0);
  EXPECT_NE(stale.err.find(
                "warning: run/decoder: this decoder was trained for another training of experts 1"),
            std::string::npos)
      << stale.err;
  const Outcome own =
      run(folder.path(),
          eval + two + " --experts run/experts --decoder run/decoder --stale-decoder --quiet");
  EXPECT_EQ(own.err, "") << "it is not stale";
  EXPECT_EQ(own.status, 0);
}

TEST_F(Mistakes, ChangedInputsAreRefusedUnlessForced) {
  prepare(false);
  const std::string train = "moe-train-base data --config c.yaml --quiet --epochs 0.2 --out base";
  output_of(folder.path(), train);
  const std::string weights = read_file(folder / "base/model.safetensors");
  expect({train + " --lr 0.03",
          2,
          {"base: made from other inputs", "\n  base.lr: was 0.05, is 0.03", "--force"}});
  EXPECT_EQ(read_file(folder / "base/model.safetensors"), weights);
  output_of(folder.path(), train + " --lr 0.03 --force");
  EXPECT_NE(read_file(folder / "base/model.safetensors"), weights);
  output_of(folder.path(), train + " --lr 0.03 --set base.log_every=7");  // shapes no result
  fs::remove(folder / "base/model.safetensors");
  expect({train + " --lr 0.03", 1, {"'model.safetensors' is gone"}});
  write("full/notes.txt", "mine");
  expect({"moe-train-base data --out full", 2, {"full: holds 'notes.txt'", "empty folder"}});
}

TEST_F(Mistakes, DamagedFilesAreNamed) {
  prepare(false);
  const std::string train = "moe-train-base data --config c.yaml --epochs 0.2 --out x";
  const auto with = [&](const std::string& file, const std::string& bytes, const Mistake& mistake) {
    const std::string before = read_file(folder / file);
    write(file, bytes);
    expect(mistake);
    write(file, before);
  };
  const std::string offsets = read_file(folder / "data/train/offset.npy");
  with("data/train/offset.npy", offsets.substr(0, offsets.size() - 8), {train, 1, {"offset.npy"}});
  with("data/train/tag_ids.npy", "", {train, 1, {"tag_ids.npy"}});
  with("data/dataset.json", "{\"shards\": [",
       {train, 1, {"dataset.json: damaged or replaced", "SHA-256"}});
  with("data/tags.tsv", "id\ttag\tcount\n0\tred\n",
       {train, 1, {"tags.tsv: damaged or replaced", "SHA-256"}});
  fs::path shard;
  for (const auto& entry : fs::directory_iterator(folder / "data/shards")) shard = entry.path();
  const std::string name = fs::relative(shard, folder.path()).string();
  std::string bytes = read_file(shard);
  with(name, bytes.substr(0, bytes.size() / 2), {train, 1, {name, "bytes"}});
  for (size_t at = bytes.find("\x89PNG"); at != std::string::npos; at = bytes.find("\x89PNG", at)) {
    bytes[at] = 'x';  // every picture
  }
  with(name, bytes, {train + " --quiet", 1, {name, "image"}});
}

TEST_F(Mistakes, FourChangedBytesOfAnotherStagesFileAreNoticed) {
  prepare(true);
  const std::string parts = " --base run/base --partition run/partition";
  const std::string mixture = parts + " --experts run/experts";
  const std::string base = "moe-train-base data --config c.yaml --epochs 0.2 --quiet --out x";
  const std::string embed = "moe-embed data --model run/base --quiet --out x";
  const std::string expert =
      "moe-train-expert data" + parts + " --expert 1 --config c.yaml --quiet --out x";
  const std::string decoder = "moe-train-decoder data" + mixture + " --quiet --out x";
  const std::string unified = "moe-embed data" + mixture + " --quiet --out x";
  const std::string single = "moe-eval data --quiet --model run/base";
  const std::string local = "moe-eval data --quiet" + mixture;
  const std::string shared = local + " --decoder run/decoder";
  const std::string partition =
      "moe-partition run/embedding --num-experts 2 --pca 8 --quiet --out x";
  const std::string tags =
      "moe-partition data run/embedding --method top-tag --num-experts 2 "
      "--quiet --out x";
  const std::string shards =
      "moe-partition data run/embedding --num-experts 2 --pca 8 --quiet --out y "
      "--write-shards x > y/table";
  output_of(folder.path(), shards.substr(0, shards.find(" --write-shards")));
  const std::vector<std::pair<std::string, std::vector<std::string>>> table = {
      {"run/base/model.safetensors", {embed, expert, decoder, unified, single, local}},
      {"run/base/model.yaml", {embed, expert, decoder, single, local}},
      {"run/partition/gater.safetensors", {expert, decoder, unified, local}},
      {"run/partition/assignment.npy", {expert, decoder, unified, local}},
      {"run/partition/partition.json", {expert, decoder, unified, local}},
      {"run/experts/1/model.safetensors", {decoder, unified, local}},
      {"run/experts/0/model.yaml", {decoder, unified, local}},
      {"run/decoder/decoder.safetensors", {shared}},
      {"run/decoder/decoder.yaml", {shared}},
      {"run/embedding/train.npy",
       {partition, "moe-partition run/embedding --halve-largest run/partition --quiet --out x"}},
      {"data/train/tag_ids.npy", {base, expert, tags, shards}},
      {"data/train/offset.npy", {base, embed, decoder, shards}},
      {"data/val/tag_ids.npy", {single, local, shards}},
      {"data/tags.tsv", {base, single, embed}},
      {"data/dataset.json", {base, single, embed}},
  };
  int places = 0;
  for (const auto& [file, lines] : table) {
    const std::string before = read_file(folder / file);
    flip_four_bytes(folder / file, places++ % 2 == 0 ? before.size() / 2 : before.size() - 5);
    for (const auto& line : lines) {
      expect({line,
              1,
              {file + ": damaged or replaced since it was made", "SHA-256 is", "recorded was",
               "put a whole copy back, or "}});
      fs::remove_all(folder / "x");
    }
    write(file, before);
  }
}

TEST_F(Mistakes, TrainingThatDivergesFailsWithARemedy) {
  prepare(false);
  expect({"moe-train-base data --config c.yaml --lr 1e38 --set base.warmup=0 --out x --quiet",
          1,
          {"diverged", "step", "lower lr (now 1e+38)"}});
  EXPECT_FALSE(fs::exists(folder / "x/model.safetensors"));
}

TEST_F(Mistakes, TrainingThatDivergesWhileAllAreNumbersFailsToo) {
  prepare(true);  // a linear layer's loss stays one
  const std::string decoder =
      "moe-train-decoder data --config c.yaml --base run/base --partition run/partition --experts "
      "run/experts --quiet";
  for (const char* lr : {"100", "1e6"}) {
    expect(
        {decoder + " --lr " + lr + " --out x" + lr, 1, {"diverged", "step 8", "lower lr (now 1"}});
    EXPECT_FALSE(fs::exists(folder / (std::string("x") + lr) / "decoder.safetensors"));
  }
}

TEST_F(Mistakes, ASecondProcessInOneFolderIsRefused) {
  prepare(false);
  const std::string train =
      "exec moe-train-base data --config c.yaml --set base.log_every=1 --epochs 2000 --out x "
      "--quiet";
  Running first(folder.path(), train);
  ASSERT_TRUE(first.reaches([&] { return fs::exists(folder / "x/log.jsonl"); }));
  expect({train, 1, {"x is being written by process ", "wait for it or stop it"}});
  EXPECT_EQ(first.end(SIGTERM).status, 75);
}

TEST_F(Mistakes, FoldersThatCannotBeWrittenAreNamed) {
  prepare(false);
  const std::string small = " --config c.yaml --epochs 0.4 --quiet";
  write("file", "");
  expect({"moe-train-base data --out file/x" + small, 1, {"file/x", "Not a directory"}});
  expect({"moe-train-base data --out file" + small, 2, {"file: is a file, expected a folder"}});
  expect({"moe-train-base data --out /proc/x" + small, 1, {"/proc/x"}});
  // A limit on the size of files stands for a full disk: every write beyond it fails.
  expect({"ulimit -f 100; moe-train-base data --out limited" + small,
          1,
          {"limited/model.safetensors", "File too large"}});
  EXPECT_FALSE(fs::exists(folder / "limited/model.safetensors"));
  output_of(folder.path(), "moe-train-base data --out limited" + small);
}

TEST_F(Mistakes, AFullDiskIsNamedAndLeavesNothingHalf) {
  prepare(false);
  fs::create_directories(folder / "disk");
  if (::mount("none", (folder / "disk").c_str(), "tmpfs", 0, "size=256k") != 0) {
    GTEST_SKIP() << "needs the right to mount a small disk";
  }
  const std::string small = " --config c.yaml --epochs 0.4 --quiet";
  expect({"moe-train-base data --out disk/x" + small,
          1,
          {"disk/x/model.safetensors", "No space left", "free some space", "same command"}});
  EXPECT_FALSE(fs::exists(folder / "disk/x/model.safetensors"));
  ::mount("none", (folder / "disk").c_str(), "tmpfs", MS_REMOUNT, "size=8m");
  output_of(folder.path(), "moe-train-base data --out disk/x" + small);
  ::umount((folder / "disk").c_str());
}

TEST_F(Mistakes, APipeThatNobodyReadsLosesNoResult) {
  prepare(false);
  const std::string train = "moe-train-base data --config c.yaml --epochs 0.2 --quiet --out base";
  // Whoever closes the pipe may be faster or slower than the result.
  const Outcome piped = run(folder.path(), "(" + train + "; echo $? > status) | head -c 0");
  const std::string status(trim(read_file(folder / "status")));
  EXPECT_TRUE(status == "0" || status == "1") << status;
  EXPECT_EQ(piped.err, "") << "a reader that has seen enough is no fault to speak of";
  expect({train + " > /dev/full", 1, {"writing standard output", "No space left on device"}});
  expect({"moe-eval data --model base --json > /dev/full", 1, {"writing standard output"}});
  EXPECT_EQ(run(folder.path(), "moe-train-base 2>&-").status, 2);
  EXPECT_EQ(run(folder.path(), "moe-train-base 2>/dev/full").status, 2);
  // Closed streams are not written into the files that would otherwise take their places.
  output_of(folder.path(), "moe-train-base data --config c.yaml --epochs 0.2 --out b <&- >&- 2>&-");
  EXPECT_EQ(read_file(folder / "b/model.safetensors"),
            read_file(folder / "base/model.safetensors"));
  const std::string lock = read_file(folder / "b/.lock");
  EXPECT_TRUE(lock.starts_with("process ") && lock.ends_with("\n")) << lock;
  EXPECT_EQ(std::count(lock.begin(), lock.end(), '\n'), 1) << lock;
}

}  // namespace
}  // namespace hardmoe
