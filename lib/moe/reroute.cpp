#include "moe/reroute.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "base/threads.h"
#include "cluster/balance.h"
#include "cluster/minimise.h"
#include "cluster/nearest.h"

namespace hardmoe {
namespace {

constexpr int64_t folds = 5;
/// Tried from the strongest on; each fit begins with the one before.
constexpr std::array<double, 9> penalties = {10, 3, 1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001};

/// Images with their losses and the targets that follow from these.
struct Examples {
  Tensor points;  ///< z, M×P
  int64_t experts = 0;
  std::vector<float> losses, targets;  ///< M×K

  int64_t size() const { return points.size(0); }
  std::span<const float> losses_of(int64_t i) const {
    return std::span(losses).subspan(static_cast<size_t>(i * experts),
                                     static_cast<size_t>(experts));
  }
  uint16_t best_of(int64_t i) const {
    const auto row = losses_of(i);
    return static_cast<uint16_t>(std::min_element(row.begin(), row.end()) - row.begin());
  }
};

/// Appends softmax(−loss/T), or 1 for the least loss if T is 0.
void add_target(std::span<const float> losses, double temperature, std::vector<float>& targets) {
  const double least = *std::min_element(losses.begin(), losses.end());
  double sum = 0;
  std::vector<double> row;
  for (const float loss : losses) {
    const double off = double{loss} - least;
    row.push_back(temperature > 0 ? std::exp(-off / temperature) : (off > 0 || sum > 0 ? 0 : 1));
    sum += row.back();
  }
  for (const double share : row) targets.push_back(static_cast<float>(share / sum));
}

Examples examples_of(const HeldOut& held_out, const Gater& gater, double temperature) {
  Examples examples;
  examples.points = gater.project(matrix_view(held_out.features));
  examples.experts = held_out.losses.size(1);
  const auto losses = held_out.losses.as<float>();
  examples.losses.assign(losses.begin(), losses.end());
  for (int64_t i = 0; i < examples.size(); ++i) {
    add_target(examples.losses_of(i), temperature, examples.targets);
  }
  return examples;
}

Examples chosen(const Examples& all, const std::vector<int64_t>& rows) {
  Examples some;
  const int64_t depth = all.points.size(1);
  some.points = Tensor(DType::f32, {std::ssize(rows), depth});
  some.experts = all.experts;
  float* out = some.points.as<float>().data();
  for (const int64_t i : rows) {
    out = std::copy_n(all.points.as<float>().data() + i * depth, depth, out);
    const auto first = static_cast<std::ptrdiff_t>(i * all.experts);
    some.losses.insert(some.losses.end(), all.losses.begin() + first,
                       all.losses.begin() + first + all.experts);
    some.targets.insert(some.targets.end(), all.targets.begin() + first,
                        all.targets.begin() + first + all.experts);
  }
  return some;
}

/// The old rule as a classifier, at the scale at which it explains the targets best; zeros where it
/// is no linear one.
LinearClassifier old_rule(const Gater& gater, const Examples& examples) {
  std::optional<LinearClassifier> best;
  double least = INFINITY;
  for (int step = -24; step <= 8; ++step) {
    auto rule = classifier_of(gater, std::exp2(step / 2.0));
    if (!rule) break;
    const double loss = cross_entropy(*rule, matrix_view(examples.points), examples.targets);
    if (loss >= least) continue;
    least = loss;
    best = std::move(rule);
  }
  return best ? *best : LinearClassifier::zeros(examples.experts, examples.points.size(1));
}

/// How well images are routed.
struct Score {
  double loss = 0;   ///< Σ over images of their experts' loss
  int64_t best = 0;  ///< images whose expert is the best one

  void add(const Examples& examples, std::span<const uint16_t> routed) {
    for (int64_t i = 0; i < examples.size(); ++i) {
      const uint16_t expert = routed[static_cast<size_t>(i)];
      loss += double{examples.losses_of(i)[expert]};
      best += expert == examples.best_of(i) ? 1 : 0;
    }
  }
};

/// Moves the gater's prices until the points' parts are within the tolerance.
void balance(PointStream& points, double tolerance, Gater& gater) {
  if (tolerance == 0) return;
  fit_prices(points, matrix_view(gater.centroids), {.tolerance = tolerance}, gater.prices);
}

std::vector<uint16_t> routed(const Gater& gater, MatrixView points) {
  std::vector<uint16_t> experts(static_cast<size_t>(points.rows));
  assign(points, CentroidTable(matrix_view(gater.centroids), gater.prices), experts);
  return experts;
}

/// Returns, for each of the penalties, how well a classifier routes the images of the folds that it
/// was not fitted on, balanced by those that it was.
std::vector<Score> cross_validate(const Examples& all, const Gater& gater, double tolerance,
                                  std::span<const double> tried, uint64_t seed) {
  const auto order =
      random_permutation(all.size(), Random(seed, RandomUse::partition, uint64_t{1} << 42));
  std::vector<Score> scores(tried.size());
  for (int64_t fold = 0; fold < folds; ++fold) {
    std::vector<int64_t> fitted, left;
    for (size_t i = 0; i < order.size(); ++i) {
      (static_cast<int64_t>(i) % folds == fold ? left : fitted).push_back(order[i]);
    }
    const Examples train = chosen(all, fitted), test = chosen(all, left);
    const MatrixView points = matrix_view(train.points);
    const MatrixSource source(points);
    const LinearClassifier near = old_rule(gater, train);
    LinearClassifier classifier = near;
    for (size_t p = 0; p < tried.size(); ++p) {
      classifier = fit_classifier(points, train.targets, tried[p], near, classifier);
      Gater rule = gater_of(classifier, gater);
      PointStream stream(source, cpu_cluster_backend());
      balance(stream, tolerance, rule);
      scores[p].add(test, routed(rule, matrix_view(test.points)));
    }
  }
  return scores;
}

/// Returns a projection for features that the old partition, one by the control `random`, has none
/// of.
Gater projected(const Gater& gater, const RowSource& features, const PartitionConfig& config,
                ClusterBackend& backend) {
  Gater with = gater;
  if (gater.pca || config.pca == 0) return with;
  PointStream rows(features, backend);
  with.pca = fit_pca(rows, std::min<int64_t>(config.pca, features.cols()), config.whiten);
  return with;
}

void check(const RowSource& features, const Partition& before, const HeldOut& held_out,
           const PartitionConfig& config) {
  check_reroute_config(config.reroute);
  const Gater& gater = before.gater;
  const auto images = static_cast<int64_t>(before.assignment.size());
  if (features.rows() != images || features.cols() != gater.inputs) {
    fail_usage(
        "the partition was made of {} × {} values, but the embedding has {} × {}; give the "
        "embedding it was made of",
        images, gater.inputs, features.rows(), features.cols());
  }
  if (gater.experts < 2) fail_usage("there is one expert; nothing can be routed otherwise");
  const int64_t least = held_out_needed(gater.experts);
  if (held_out.losses.size(0) < least) {
    fail_usage(
        "experts are compared on {} held-out images; {} experts need at least {}, and are better "
        "told apart by some hundreds each",
        held_out.losses.size(0), gater.experts, least);
  }
}

/// Assigns all training images by the partition's gater, its prices moved first.
void assign_images(const RowSource& features, double tolerance, const PartitionRun& run,
                   Partition& partition) {
  Gater& gater = partition.gater;
  PointStream points(
      features, *run.backend,
      {.pca = gater.pca ? &*gater.pca : nullptr, .keep_bytes = machine_memory() / 4});
  balance(points, tolerance, gater);
  const PricedCentroids rule{matrix_view(gater.centroids), gater.prices};
  partition.inertia = assign_all(points, rule, partition.assignment).inertia;
  partition.dimensions = points.cols();
  count_sizes(partition);
}

int64_t count_moved(const std::vector<uint16_t>& before, const std::vector<uint16_t>& after) {
  int64_t moved = 0;
  for (size_t i = 0; i < before.size(); ++i) moved += before[i] != after[i] ? 1 : 0;
  return moved;
}

}  // namespace

std::optional<LinearClassifier> classifier_of(const Gater& gater, double scale) {
  const bool one_each = gater.centroids.elements() > 0 && gater.halvings.empty() &&
                        gater.centroids.size(0) == gater.experts;
  if (!one_each) return std::nullopt;
  const MatrixView centroids = matrix_view(gater.centroids);
  LinearClassifier rule = LinearClassifier::zeros(gater.experts, centroids.cols);
  for (int64_t c = 0; c < centroids.rows; ++c) {
    const auto at = static_cast<size_t>(c);
    const size_t k = gater.expert_of.empty() ? at : gater.expert_of[at];
    double norm = 0;
    for (int64_t d = 0; d < centroids.cols; ++d) {
      const double value = centroids.row(c)[d];
      rule.weights[k * static_cast<size_t>(centroids.cols) + static_cast<size_t>(d)] =
          2 * scale * value;
      norm += value * value;
    }
    rule.biases[k] = -scale * (norm + double{gater.prices[at]});
  }
  return rule;
}

int64_t held_out_needed(int64_t experts) { return std::max<int64_t>(10 * experts, 2 * folds); }

Gater gater_of(const LinearClassifier& classifier, const Gater& gater) {
  const auto classes = static_cast<size_t>(classifier.classes);
  const auto depth = static_cast<size_t>(classifier.depth);
  // c_k = h_k + v, h_k = w_k/2 less the mean, which does not matter; p_k = q_k − 2v·h_k, where
  // q_k = −b_k − ‖h_k‖² and constants are left out. v makes the p_k nearly equal; with a little
  // weight on ‖v‖², as centroids far from the points would lose their differences to rounding.
  std::vector<double> half(classes * depth), own(classes);
  for (size_t d = 0; d < depth; ++d) {
    double mean = 0;
    for (size_t k = 0; k < classes; ++k) mean += classifier.weights[k * depth + d];
    mean /= static_cast<double>(classes);
    for (size_t k = 0; k < classes; ++k) {
      half[k * depth + d] = (classifier.weights[k * depth + d] - mean) / 2;
    }
  }
  for (size_t k = 0; k < classes; ++k) {
    const auto row = std::span(half).subspan(k * depth, depth);
    own[k] = -classifier.biases[k] - std::inner_product(row.begin(), row.end(), row.begin(), 0.0);
  }
  const double mean = std::accumulate(own.begin(), own.end(), 0.0) / static_cast<double>(classes);
  for (double& price : own) price -= mean;
  const auto price_of = [&](size_t k, std::span<const double> shift) {
    const auto row = std::span(half).subspan(k * depth, depth);
    return own[k] - 2 * std::inner_product(row.begin(), row.end(), shift.begin(), 0.0);
  };
  const auto left_to_prices = [&](std::span<const double> shift, std::span<double> gradient) {
    constexpr double weight = 1e-4;
    double sum = 0;
    for (size_t d = 0; d < depth; ++d) {
      sum += weight * shift[d] * shift[d];
      gradient[d] = 2 * weight * shift[d];
    }
    for (size_t k = 0; k < classes; ++k) {
      const double price = price_of(k, shift);
      sum += price * price;
      for (size_t d = 0; d < depth; ++d) gradient[d] -= 4 * price * half[k * depth + d];
    }
    return sum;
  };
  const std::vector<double> shift = minimise(left_to_prices, std::vector<double>(depth));
  Gater result = gater;
  result.kind = PartitionMethod::kmeans;
  result.expert_of = {};
  result.halvings = {};
  result.centroids = Tensor(DType::f32, {classifier.classes, classifier.depth});
  result.prices.resize(classes);
  for (size_t k = 0; k < classes; ++k) {
    for (size_t d = 0; d < depth; ++d) {
      result.centroids.as<float>()[k * depth + d] =
          static_cast<float>(half[k * depth + d] + shift[d]);
    }
    result.prices[k] = static_cast<float>(price_of(k, shift));
  }
  return result;
}

Partition reroute(const RowSource& features, const Partition& before, const HeldOut& held_out,
                  const PartitionConfig& config, uint64_t seed, const PartitionRun& run) {
  check(features, before, held_out, config);
  const Gater gater = projected(before.gater, features, config, *run.backend);
  const Examples examples = examples_of(held_out, gater, config.reroute.temperature);
  std::vector<double> tried(penalties.begin(), penalties.end());
  if (config.reroute.penalty > 0) tried = {config.reroute.penalty};
  const auto scores = cross_validate(examples, gater, config.tolerance, tried, seed);
  const auto chosen_at = static_cast<size_t>(
      std::min_element(scores.begin(), scores.end(),
                       [](const Score& a, const Score& b) { return a.loss < b.loss; }) -
      scores.begin());
  Score old, least;
  old.add(examples, before.gater.route(matrix_view(held_out.features)));
  std::vector<uint16_t> best;
  for (int64_t i = 0; i < examples.size(); ++i) best.push_back(examples.best_of(i));
  least.add(examples, best);
  for (size_t p = 0; p < tried.size(); ++p) {
    log_info("penalty {:<6}  held-out loss {:.4f}, before {:.4f}", tried[p],
             scores[p].loss / static_cast<double>(examples.size()),
             old.loss / static_cast<double>(examples.size()));
  }

  const auto images = static_cast<double>(examples.size());
  Partition after = before;
  after.iterations = {};
  after.rerouting = Rerouting{.images = examples.size(),
                              .temperature = config.reroute.temperature,
                              .penalty = tried[chosen_at],
                              .loss_before = old.loss / images,
                              .loss_after = scores[chosen_at].loss / images,
                              .loss_least = least.loss / images,
                              .best_before = static_cast<double>(old.best) / images,
                              .best_after = static_cast<double>(scores[chosen_at].best) / images};
  Rerouting& told = *after.rerouting;
  if (scores[chosen_at].loss >= old.loss) {
    told.kept = true;
    told.loss_after = told.loss_before;
    told.best_after = told.best_before;
    return after;
  }
  const PartitionConfig old_config = std::exchange(after.config, config);
  if (before.gater.pca) {  // which is kept
    after.config.pca = old_config.pca;
    after.config.whiten = old_config.whiten;
  }
  after.config.method = PartitionMethod::kmeans;
  after.config.experts = static_cast<int>(gater.experts);
  after.config.fine = 0;
  after.seed = seed;
  const LinearClassifier near = old_rule(gater, examples);
  after.gater = gater_of(
      fit_classifier(matrix_view(examples.points), examples.targets, tried[chosen_at], near, near),
      gater);
  assign_images(features, config.tolerance, run, after);
  told.moved = count_moved(before.assignment, after.assignment);
  return after;
}

}  // namespace hardmoe
