// moe-embed: dataset + model → the model's features of every image.
#include "app.h"
#include "base/log.h"
#include "base/stage.h"
#include "moe/mixture.h"
#include "tensor/npy.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command(
      "moe-embed",
      "Write a model's pooled features of a dataset's images: OUT/SPLIT.npy, float32 N×D "
      "(float16 with --half), row i for image i.");
  std::string data, model_folder, out;
  std::vector<std::string> splits;
  bool force = false, half = false;
  auto& cli = command.cli();
  cli.add_option("DATASET", data, "Folder written by moe-ingest")->required()->type_name("");
  cli.add_option("--model", model_folder, "Folder written by moe-train-base or moe-train-expert")
      ->required()
      ->type_name("DIR");
  cli.add_option("--out", out, "Folder of the embedding")->required()->type_name("DIR");
  cli.add_option("--split", splits, "Splits to embed (default: train)")->type_name("NAME");
  cli.add_flag("--half", half, "Store float16");
  command.setting("--precision", "base.precision");
  command.device_option();
  command.stage_options(force);
  return command.run(argc, argv, [&] {
    const Precision precision = command.config().base.precision;
    if (splits.empty()) splits = {"train"};
    const auto engine = make_engine(command.config().device);
    require_precision(*engine, precision);
    const Dataset dataset = Dataset::open(data);
    for (const auto& name : splits) dataset.split(name);
    const Model model = load_model(model_folder);
    require_vocabulary(model.card, model_folder, dataset);
    Stage stage(
        {out,
         "moe-embed",
         {{"dataset", dataset.fingerprint()},
          {"model", sha256_of_file(std::filesystem::path(model_folder) / "model.safetensors")},
          {"splits", splits},
          {"half", half},
          {"precision", name_of(precision)}},
         force});
    if (stage.done()) {
      log_info("{}: already done", out);
    } else {
      const auto& card = model.card;
      Inference inference(*engine, resnet(card.model, 0), card.model.image_size, precision);
      inference.load(model.weights, model_folder);
      const int64_t width = inference.network().feature_size();
      Json results = {{"dimensions", width}};
      std::vector<std::string> files;
      const double start = now_seconds();
      for (const auto& name : splits) {
        const Split& split = dataset.split(name);
        files.push_back(name + ".npy");
        NpyWriter writer(stage.folder() / files.back(), half ? DType::f16 : DType::f32, {width});
        std::vector<Float16> narrow;
        inference.run(split, all_items(split), [&](auto, int64_t rows, auto features, auto) {
          if (half) {
            narrow.resize(features.size());
            for (size_t i = 0; i < features.size(); ++i) narrow[i] = to_float16(features[i]);
            writer.append(narrow.data(), rows);
          } else {
            writer.append(features.data(), rows);
          }
        });
        writer.finish();
        results["images"][name] = split.size();
      }
      results["seconds"] = now_seconds() - start;
      stage.finish(files, results);
    }
    fmt::print("{}\n", stage.results().dump());
  });
}
