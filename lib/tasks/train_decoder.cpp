#include "tasks/train_decoder.h"

#include "base/log.h"
#include "data/feature_source.h"
#include "engine/network_facts.h"
#include "moe/routing.h"
#include "tasks/networks.h"
#include "tasks/results.h"
#include "tasks/training.h"
#include "tensor/npy.h"
#include "train/checkpoint.h"
#include "train/decoder_folder.h"
#include "train/schedule.h"
#include "train/trainer.h"

namespace hardmoe {

std::string train_decoder(const TrainDecoderTask& task, Config& config) {
  check_train_config(config.decoder, "decoder");
  check_freeze(linear_decoder(1, 1), config.decoder, "decoder");
  const auto engine = make_engine(config.device);
  const Dataset dataset = Dataset::open(task.dataset);
  const Split& split = dataset.split("train");
  check_experts_folder(task.experts);
  const Mixture mixture = open_mixture(task.base, task.partition, task.experts, "");
  const ModelCard& card = mixture.base.card;
  require_vocabulary(card, task.base, dataset);
  require_partition_of(task.partition, task.base, dataset.fingerprint());
  check_training_features(task.partition, task.features);
  if (mixture.dataset != dataset.fingerprint()) {
    fail_usage("{}: trained on another dataset than {}; give the one they were trained on",
               task.experts, task.dataset);
  }
  const Precision embedding = inference_precision(config.embed.precision, config.expert.precision);
  require_precision(*engine, embedding);
  require_precision(*engine, config.decoder.precision);
  Json inputs = {{"dataset", dataset.fingerprint()},
                 {"seed", config.seed},
                 {"precision", name_of(embedding)},
                 {"decoder", training_inputs(config.decoder)}};
  inputs.update(mixture_identity(mixture, task.base, task.partition));
  auto writes = training_files();
  writes.insert(writes.end(),
                {decoder_weights_name, decoder_card_name, model_tags_name, "train.npy"});
  Stage stage({task.out,
               "moe-train-decoder",
               inputs,
               task.force,
               {task.dataset, task.base, task.partition, task.experts},
               std::move(writes)});
  if (stage.done()) return results_of_done(stage);
  const double begin = now_seconds();
  const auto embedding_file = stage.folder() / "train.npy";
  if (!stage.has_kept("train.npy")) {
    Inference inference(*engine, resnet(card.model, 0), card.model.image_size, embedding);
    save_npy(embedding_file,
             unified_embedding(inference, mixture, split, mixture.partition.assignment));
    stage.keep("train.npy");
  }
  const Tensor features = load_npy(embedding_file);
  const Network network = linear_decoder(features.size(1), card.tags);
  const TrainConfig settings = fit_batch(config.decoder, split.size(), "decoder");
  FeatureSource source(features, split, settings.batch, config.seed,
                       resampled(split, {}, settings.sampling, config.seed));
  const TrainResult trained = train(*engine, network, mixture.base.weights, source, settings,
                                    stage.folder(), stage.identity());
  auto files = save_decoder(stage.folder(), trained.weights, settings.loss, dataset.vocabulary());
  files.emplace_back("train.npy");
  const double flops = static_cast<double>(split.size()) * flops_per_image(resnet(card.model, 0)) +
                       static_cast<double>(trained.steps * settings.batch) *
                           training_flops_per_image(network, settings.freeze);
  stage.finish(files, {{"images", source.items()},
                       {"steps", trained.steps},
                       {"loss", trained.loss},
                       {"seconds", now_seconds() - begin},
                       {"training_flops", flops}});
  remove_checkpoints(stage.folder());
  return result_line(stage.results());
}

}  // namespace hardmoe
