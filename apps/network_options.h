// The options that name trained networks, with one meaning in every command.
#pragma once

#include "app.h"
#include "tasks/networks.h"

namespace hardmoe {

/// --base, --partition, --experts and --features, each alone.
CLI::Option* base_option(Command& command, std::string& folder);
CLI::Option* partition_option(Command& command, std::string& folder);
CLI::Option* experts_option(Command& command, std::string& folder);
CLI::Option* features_option(Command& command, std::vector<std::string>& files);

/// The arguments RUN, a folder that find_networks() reads, and IMAGE, see NamedImages.
void run_argument(Command& command, std::string& folder);
CLI::Option* images_argument(Command& command, std::vector<std::string>& images);

/// --row: which of the networks in a folder that find_networks() reads; `usual`: where none is named.
CLI::Option* row_option(Command& command, std::string& row, const std::string& usual = "local");

/// --chosen and --capacity, for commands that ask a model.
void add_sparse_options(Command& command, SparseOverride& sparse);

/// For commands that look at images with one model or a mixture: --model, or the four above and
/// --router.
void add_network_options(Command& command, NetworkFolders& networks);
/// The same, where --model may be given several times.
void add_network_options(Command& command, NetworkFolders& networks,
                         std::vector<std::string>& models);

}  // namespace hardmoe
