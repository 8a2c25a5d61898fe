// Targets that need the rooms of training and of mixtures, as programs of their own.
#pragma once

#include "fuzz/targets.h"

namespace hardmoe {

void fuzz_model(std::string_view bytes);
void fuzz_earlier_weights(std::string_view bytes);
void fuzz_decoder(std::string_view bytes);
void fuzz_pack(std::string_view bytes);
void fuzz_gater(std::string_view bytes);
void fuzz_partition(std::string_view bytes);
void fuzz_evaluation(std::string_view bytes);

}  // namespace hardmoe
