#include "network_options.h"

#include "base/error.h"
#include "base/text.h"

namespace hardmoe {

void NetworkOptions::add_to(Command& command) {
  auto& cli = command.cli();
  auto* single =
      cli.add_option("--model", model, "A network: folder of moe-train-base or moe-train-expert")
          ->type_name("DIR");
  const auto part = [&](const char* name, std::string& value, const char* help) {
    cli.add_option(name, value, help)->type_name("DIR")->excludes(single);
  };
  part("--base", base, "The mixture's base");
  part("--partition", partition, "The mixture's partition");
  part("--experts", experts, "Folder that holds the experts' folders 0, 1, …");
  cli.add_option(
         "--features", features,
         "Where the partition was made of an embedding of one's own: its rows of the images "
         "to look at, one an image in the split's order; .npy files, with commas or blanks "
         "between, or folders of such parts")
      ->type_name("FILE.npy[,…]")
      ->excludes(single);
}

bool NetworkOptions::is_mixture() const {
  if (!model.empty()) return false;
  std::vector<std::string> missing;
  if (base.empty()) missing.emplace_back("--base");
  if (partition.empty()) missing.emplace_back("--partition");
  if (experts.empty()) missing.emplace_back("--experts");
  if (missing.size() == 3) {
    fail_usage("give --model DIR, or --base, --partition and --experts; see --help");
  }
  if (!missing.empty()) fail_usage("a mixture needs {}, too; see --help", join(missing, " and "));
  return true;
}

}  // namespace hardmoe
