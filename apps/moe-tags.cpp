// moe-tags: a dataset's vocabulary, for choosing stop tags and merges.
#include "app.h"
#include "tasks/tags.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command("moe-tags",
                  "Show a dataset's vocabulary: the most frequent tags, and how many are how rare. "
                  "Or, with the options below, the tags beside one; a list of tags to stop and one "
                  "of tags to merge, both to be looked through and given to moe-ingest.");
  TagsTask task;
  auto& cli = command.cli();
  command.dataset_argument(task.dataset);
  cli.add_option("--top", task.top, "At most so many: rows of a table")
      ->type_name("N")
      ->capture_default_str();
  cli.add_option("--tag", task.tag, "A tag: show what else is on the images with it")
      ->type_name("TAG");
  cli.add_option("--suggest-stop-tags", task.stop_tags,
                 "Write tags that may say nothing about a picture, with the reason ('-': on "
                 "standard output)")
      ->type_name("FILE");
  cli.add_option("--suggest-merges", task.merge_tags,
                 "Write which tags are words for the same thing: of one WordNet synset, by each "
                 "word's most frequent sense")
      ->type_name("FILE");
  cli.add_option("--wordnet", task.wordnet, "Folder of WordNet's files (data.noun, index.noun)")
      ->type_name("PATH")
      ->capture_default_str();
  command.example("moe-tags dataset");
  command.example("moe-tags dataset --tag beach");
  command.example("moe-tags dataset --suggest-stop-tags stop.txt --suggest-merges merge.txt");
  return command.run(argc, argv, [&] { print(show_tags(task)); });
}
