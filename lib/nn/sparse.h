// Sparsely-gated layers, which compute an image or a token by a few of many experts: what a model has
// of them, as model.yaml stores it, and what training adds so that all experts are used. The
// networks: nn/sparse_resnet.h.
//
//   shazeer    Shazeer et al. 2017: noisy top-k gating, importance and load losses
//   pavlitska  Pavlitska et al. 2022: a gate on the whole image before stages of a ResNet, balanced
//              by a loss or by hard constraints
//   vmoe       Riquelme et al. 2021 (V-MoE): MLPs of a vision transformer, by token, within a
//              capacity
//
// Not for the hard mixture, whose experts are whole networks: see moe/mixture.h.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/config.h"
#include "nn/network.h"

namespace hardmoe {

enum class SparseKind { none, shazeer, pavlitska, vmoe };

/// What a gate on the whole image reads.
enum class GateInput {
  pooled,  ///< the stage's input, averaged over the image
  conv,    ///< the same behind a 3×3 convolution of as many channels
};

/// A bound on an expert's use, kept by masking it for a batch (Pavlitska et al. 2022, §3.3).
enum class GateConstraint {
  none,
  relative,  ///< on the sum of how far its importance was above the mean, relative to that
  mean,      ///< on the running mean of its importance, above 1/E
};

/// When V-MoE's experts take the tokens with the greatest gates first (Batch Priority Routing,
/// Riquelme et al. 2021, §4), not the first ones.
enum class RoutingPriority { none, training, evaluation, both };

/// The sparsely-gated layers of a model.
struct SparseConfig {
  SparseKind kind = SparseKind::none;
  int experts = 8;  ///< E
  int chosen = 2;   ///< k
  // Shazeer's and Pavlitska's: stages of a ResNet become E narrowed stages of two blocks each.
  std::vector<double> stages = {4};          ///< some of 1 to 4, ascending
  std::vector<double> expert_channels = {};  ///< inner channels, one for each of `stages`; empty:
                                             ///< see with_defaults()
  GateInput gate = GateInput::pooled;
  bool noise = true;
  // Weights of the losses of each layer; −1: see with_defaults().
  double importance = -1, load = -1, divergence = -1;
  GateConstraint constraint = GateConstraint::none;
  double limit = -1;  ///< the constraint's
  // V-MoE's.
  int last = 0;            ///< layers with experts, the last of the odd ones; 0: all of these
  double capacity = 1.05;  ///< C: an expert takes C times an even share of the choices
  RoutingPriority priority = RoutingPriority::none;
  void describe(Fields& f);
};

/// Returns the settings with the papers' values in the place of −1: weights 0.1 and 0.1 (importance
/// and load) of shazeer, 0.5 (importance) of pavlitska unless it has another loss or a constraint,
/// 0.005 and 0.005 (importance and load) of vmoe, else 0; limits 0.5 (relative) and 0.3 (mean). With
/// a constraint there is no noise.
SparseConfig with_defaults(SparseConfig config);

/// Puts the default in the place of each setting that has no effect beside the others: those of
/// another kind, and a limit without a constraint. Returns the names of those that had another value.
std::vector<std::string> drop_unused(SparseConfig& config);

/// Throws Error(usage), which begins with the setting's key below `section`, for a setting that is
/// out of range or contradicts another. Those of other kinds are not looked at. `config`: of with_defaults().
void check_sparse(const SparseConfig& config, const std::string& section);

/// A loss that training adds for a layer, at values of its network (engine/spec.h has the formulas).
struct GateLoss {
  enum class Kind {
    importance,  ///< CV² of the sum of gates
    load,        ///< CV² of the expected number of rows
    divergence,  ///< of the mean gates from equal ones
  };
  Kind kind = Kind::importance;
  double weight = 0;
  std::string name;  ///< as logs show it: "importance/layer4"
  int value = -1;    ///< the gates; for load the logits without noise
  int ddof = 0;      ///< importance: of the variance
  // For load:
  int k = 1;
  int noisy = -1;  ///< the logits with noise
  int sigma = -1;  ///< the noise's standard deviations; −1: all are `deviation`
  double deviation = 0;
  bool excluding = true;  ///< whether a chosen expert's threshold leaves its own logit out
};

/// The running statistic that says how a layer's experts are used.
struct GateStatistic {
  std::string layer;   ///< "layer4"
  std::string usage;   ///< its name among the weights: the share of choices that each expert got
  bool drops = false;  ///< whether the layer has a capacity, beyond which choices are dropped
};

/// Returns those of all layers of experts that a network has.
std::vector<GateStatistic> gate_statistics(const Network& network);

/// Returns whether a tensor of a network tells how its training went, and so is none that another
/// training begins with: the usage of experts, and what a constraint has added up.
bool is_gate_state(std::string_view tensor);

/// What is changed of a trained model's layers when it is asked.
struct SparseOverride {
  std::optional<int> chosen = {};
  std::optional<double> capacity = {};
  std::optional<bool> priority = {};  ///< whether Batch Priority Routing is used
  /// Returns the first option that is given; "" if none is.
  const char* option() const {
    return chosen ? "--chosen" : capacity ? "--capacity" : priority ? "--priority" : "";
  }
  bool is_set() const { return chosen || capacity || priority; }
};

/// Returns the settings so changed. Throws Error(usage) that names --chosen, --capacity or --priority,
/// if it is out of range or the layers have no such thing.
SparseConfig changed(SparseConfig config, const SparseOverride& by);

/// A network with its balance losses.
struct SparseNetwork {
  Network network;
  std::vector<GateLoss> losses;
};

}  // namespace hardmoe
