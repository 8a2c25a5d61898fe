// moe-search: an image, a folder or a tag → the nearest images of a collection.
#include <iostream>

#include "network_options.h"
#include "search/search.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command(
      "moe-search",
      "Find the images of a collection that are nearest to an image, to each image of a folder, to "
      "a tag, or to one another, by cosine distance (1 - cosine, 0 to 2) in the "
      "unified embedding. A line a neighbour, nearest first: what was looked for, distance, "
      "SHARD.tar: KEY, with tabs between; an image that cannot be read is a warning, and the exit "
      "status is then 1 at the end.\n\nThe collection is a dataset with its rows of the embedding. "
      "A run has both of its training images; for others, such as new photos ingested later, embed "
      "them with moe-embed and name --dataset and --embedding.");
  SearchTask task;
  auto& cli = command.cli();
  run_argument(command, task.run);
  images_argument(command, task.images);
  cli.add_option("--tag", task.tags,
                 "A tag: look for images in the direction in which the decoder scores it higher; "
                 "repeatable")
      ->type_name("TAG")
      ->allow_extra_args(false);
  cli.add_option("--key", task.keys,
                 "A key: look for what is near that image of the collection; repeatable")
      ->type_name("KEY")
      ->allow_extra_args(false);
  cli.add_option(
         "--pairs-within", task.pairs_within,
         "Print all pairs of images at most so far apart, each once, in place of neighbours")
      ->type_name("DISTANCE");
  cli.add_option("--neighbours", task.neighbours, "k: neighbours of an image")
      ->type_name("N")
      ->capture_default_str()
      ->excludes("--pairs-within");
  cli.add_flag("--approximate", task.approximate,
               "Compare with the images of 32 of 4*sqrt(N) inverted lists instead of all: for many "
               "queries to millions of images; some neighbours are missed");
  row_option(command, task.row, "shared, where there is one");
  cli.add_option("--dataset", task.dataset,
                 "The dataset: that of the images to search (default: the run's)")
      ->type_name("DIR");
  cli.add_option("--embedding", task.embedding,
                 "The embedding: a folder of moe-embed with their rows, SPLIT.npy of each split to "
                 "search (default: the run's, of its training images)")
      ->type_name("PATH");
  cli.add_flag("--json", task.json, "Print JSON: a line a query, or a pair");
  cli.add_option("--contact-sheet", task.sheet,
                 "Also write a contact sheet there, as PNG or JPEG by the name's end: a row a "
                 "query or a pair, left what was looked for, then the 32 nearest at most")
      ->type_name("FILE");
  command.setting("--seed", "seed");
  command.setting("--precision", "eval.precision");
  command.device_option();
  command.example("moe-search runs/quickstart photos/ --neighbours 8 --contact-sheet found.png");
  command.example("moe-search runs/quickstart --tag cat --json");
  command.example("moe-search packed --dataset photos --embedding photos-embedded photo.jpg");
  return command.run(argc, argv, [&] { search_images(task, command.config(), std::cin, print); });
}
