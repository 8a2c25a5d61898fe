// moe-eval: a network or a mixture against a dataset's tags and truth.
#include <optional>

#include "app.h"
#include "base/log.h"
#include "base/stage.h"
#include "moe/evaluation.h"
#include "moe/evaluation_gaps.h"
#include "network_options.h"
#include "train/probability.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command(
      "moe-eval",
      "Evaluate a single network (--model) or a mixture (--base --partition --experts, and "
      "--decoder for the shared one) against the images' tags, and against their truth where the "
      "dataset has it; for each expert and in all.\n\nP@k, R@k, hit@k: of the k best tags of an "
      "image, means over images. LRAP: label ranking average precision, image-wise. mAP: the mean "
      "over tags of a tag's average precision over images, by its probability (class-wise, macro); "
      "tags that no image has are left out. Where there are no images: –, null in JSON.");
  std::string data, decoder, out;
  NetworkOptions network;
  bool force = false, as_json = false, stale = false;
  auto& cli = command.cli();
  const auto folder = [&](const char* name, std::string& value, const char* help) {
    return cli.add_option(name, value, help)->type_name("DIR");
  };
  cli.add_option("DATASET", data, "Folder written by moe-ingest")->required()->type_name("");
  network.add_to(command);
  auto* shared = folder("--decoder", decoder, "Shared decoder (default: each expert's own)");
  shared->excludes("--model");
  cli.add_flag("--stale-decoder", stale,
               "Take a shared decoder that was trained over other experts of this base")
      ->needs(shared);
  folder("--out", out, "Also keep the result as OUT/metrics.json");
  cli.add_flag("--json", as_json, "Print one JSON line instead of tables");
  command.setting("--split", "eval.split");
  command.setting("--top-experts", "eval.top_experts");
  command.setting("--temperature", "eval.temperature");
  command.setting("--use-prices", "eval.use_prices");
  command.device_option();
  command.stage_options(force);
  return command.run(argc, argv, [&] {
    Config& config = command.config();
    const bool is_mixture = network.is_mixture();
    const auto engine = make_engine(config.device);
    const Dataset dataset = Dataset::open(data);
    const Split& split = dataset.split(config.eval.split);
    const Precision precision = config.expert.precision;
    require_precision(*engine, precision);
    Json inputs = {{"dataset", dataset.fingerprint()},
                   {"split", config.eval.split},
                   {"precision", name_of(precision)},
                   {"metrics", 2}};  // 1: mAP was image-wise
    std::optional<Model> model;
    std::optional<Mixture> mixture;
    std::optional<EmbeddingInput> own;
    if (is_mixture) {
      mixture = open_mixture(network.base, network.partition, network.experts, decoder,
                             stale ? DecoderMatch::stale : DecoderMatch::exact);
      check_eval_config(config.eval, mixture->partition.gater.experts);
      own = find_routing_features(*mixture, network.partition, network.features, split);
      if (own) inputs["features"] = own->identity["embedding"];
      inputs["eval"] = config_json(fields_of(config.eval));
      inputs.update(mixture_identity(*mixture, network.base, network.partition));
      if (!decoder.empty()) inputs["decoder"] = stage_fingerprint(decoder, "moe-train-decoder");
    } else {
      model = load_model(network.model);
      inputs["model"] = model_hash(network.model);
    }
    require_vocabulary(model ? model->card : mixture->base.card,
                       model ? network.model : network.base, dataset);

    const auto print = [&](const Json& results) {
      fmt::print("{}{}",
                 as_json ? results.dump() : evaluation_text(parse_evaluation(results, "result")),
                 as_json ? "\n" : "");
    };
    std::optional<Stage> stage;
    if (!out.empty()) {
      std::vector<std::filesystem::path> reads = {
          data, network.model, network.base, network.partition, network.experts, decoder};
      if (own) reads.insert(reads.end(), own->files.begin(), own->files.end());
      stage.emplace(
          Stage::Options{out, "moe-eval", inputs, force, std::move(reads), {"metrics.json"}});
    }
    if (stage && stage->done()) {
      log_info("{}: already done", out);
      return print(stage->results());
    }
    const Evaluation evaluation =
        model ? evaluate_model(*engine, *model, loss_of(network.model), split, precision)
              : evaluate_mixture(*engine, *mixture, split, own, config.eval, precision);
    for (const auto& gap : evaluation_gaps(evaluation, config.eval.split)) log_warning("{}", gap);
    const Json results = evaluation_json(evaluation);
    if (stage) {
      write_json(stage->folder() / "metrics.json", results);
      stage->finish({"metrics.json"}, results);
    }
    print(results);
  });
}
