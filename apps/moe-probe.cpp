// moe-probe: an embedding's quality by retrieval and by a linear probe.
#include "app.h"
#include "tasks/probe.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command(
      "moe-probe",
      "Measure an embedding of a dataset's images (moe-embed's SPLIT.npy, or any .npy) by their "
      "leaf tags. An image's leaf tag is the rarest of its truth (or tags): the one on fewest "
      "training images.\n\nRetrieval: of each image the k nearest others by cosine, exact; "
      "precision is the share of them with its leaf tag, recall the share of the images with its "
      "leaf tag that are among them, hit whether one is. Images whose leaf tag no other image has "
      "are no queries. With --assignment also among the images of other experts only.\n\nLinear "
      "probe "
      "(with --train): multinomial logistic regression on features of mean 0 and variance 1, with "
      "an L2 penalty, by L-BFGS; the share of the images whose leaf tag it finds.");
  ProbeTask task;
  auto& cli = command.cli();
  command.dataset_argument(task.dataset);
  cli.add_option("EMBEDDING", task.features,
                 "Rows of the images to look at, as .npy files: moe-embed's SPLIT.npy, or others'")
      ->required()
      ->type_name("");
  command.setting("--split", "eval.split")->type_name("NAME");
  cli.add_option("--assignment", task.assignment,
                 "Each image's expert: experts.npy of moe-eval --out, or assignment.npy")
      ->type_name("FILE.npy");
  cli.add_option("--train", task.train, "Rows to train the linear probe on, as .npy files")
      ->type_name("FILE.npy");
  cli.add_option("--train-split", task.train_split, "The split that --train has the rows of")
      ->type_name("NAME")
      ->capture_default_str();
  cli.add_option("--labels", task.labels, "tags or truth (default: truth where there is some)")
      ->type_name("KIND");
  cli.add_option("--neighbours", task.neighbours, "k: neighbours of an image")
      ->type_name("N")
      ->capture_default_str();
  cli.add_option("--l2", task.probe.l2,
                 "The linear probe's penalty: half of this times |W|², "
                 "beside the mean loss of an image")
      ->type_name("NUMBER")
      ->capture_default_str();
  cli.add_flag("--json", task.json, "Print JSON");
  command.example("moe-probe dataset embedding/val.npy");
  command.example("moe-probe dataset embedding/val.npy --train embedding/train.npy --json");
  return command.run(argc, argv, [&] { print(probe_embedding(task, command.config())); });
}
