// moe-report: runs → one page that people read.
#include "app.h"
#include "report/report.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command(
      "moe-report",
      "Write what runs of moe-run found as one page for a browser, a phone or paper, which needs "
      "no network and no script: whether the mixture is better than the base and each control, and "
      "at what cost; how training went; what each expert holds, its tags, its precision and its "
      "errors; frequent and rare tags; the embedding in the plane; neighbours across experts; "
      "calibration; times. Of several runs it first says what differs. Of a run that is not "
      "finished it shows what there is. Of a model of moe-train-sparse it shows how its experts "
      "are "
      "used, and what they have become (--dataset).\n\n"
      "Most is read from the run. Base and experts are asked again about at most --asked-images "
      "images "
      "of the evaluated split, for what no stage stores.");
  ReportTask task;
  auto& cli = command.cli();
  cli.add_option("RUN", task.runs,
                 "Folders written by moe-run, or by moe-train-sparse (their --out)")
      ->required()
      ->type_name("");
  cli.add_option("--out", task.out, "What to write: a page, .html")->required()->type_name("PATH");
  cli.add_option("--png", task.pictures,
                 "Also write each picture there as PNG, for slides; needs rsvg-convert "
                 "(librsvg2-bin)")
      ->type_name("DIR");
  cli.add_option("--dataset", task.dataset,
                 "The dataset: that of the runs, if it is not where their configuration says")
      ->type_name("DIR");
  cli.add_option("--asked-images", task.images,
                 "Images of the evaluated split that base and experts are asked about, at most "
                 "5000; 0 leaves out maps, neighbours, calibration and errors")
      ->type_name("N")
      ->capture_default_str();
  command.device_option();
  command.example("moe-report runs/quickstart --out report.html");
  command.example("moe-report runs/k4 runs/k8 --out compared.html --png slides");
  command.example("moe-report shazeer vmoe --dataset dataset --out sparse.html");
  return command.run(argc, argv, [&] {
    task.device = command.config().device;
    print(write_report(task));
  });
}
