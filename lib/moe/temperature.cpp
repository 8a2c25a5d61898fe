#include "moe/temperature.h"

#include <algorithm>
#include <cmath>

namespace hardmoe {

double fit_temperature(const ExpertChoices& choices,
                       const std::vector<std::vector<float>>& likelihood) {
  const auto n = static_cast<size_t>(choices.experts);
  double mean = 0;
  for (const float d : choices.squared_distance) mean += static_cast<double>(d);
  mean = std::max(mean / static_cast<double>(choices.squared_distance.size()), 1e-12);
  double best = mean;
  double best_loss = INFINITY;
  for (int step = -20; step <= 12; ++step) {
    const double temperature = mean * std::exp2(step / 2.0);
    const auto weights = gating_weights(choices, temperature);
    double loss = 0;
    for (size_t first = 0; first < likelihood.size(); first += n) {  // the choices of one image
      const size_t tags = likelihood[first].size();
      for (size_t t = 0; t < tags; ++t) {
        double p = 1e-12;
        for (size_t c = 0; c < n; ++c)
          p += static_cast<double>(weights[first + c] * likelihood[first + c][t]);
        loss -= std::log(p) / static_cast<double>(tags);
      }
    }
    if (loss < best_loss) {
      best_loss = loss;
      best = temperature;
    }
  }
  return best;
}

}  // namespace hardmoe
