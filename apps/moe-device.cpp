// moe-device: what --device may name on this machine.
#include "app.h"
#include "tasks/devices.h"

int main(int argc, char** argv) {
  using namespace hardmoe;
  Command command("moe-device",
                  "Print what --device may name here: the processor, each NVIDIA GPU with its "
                  "memory, and the precisions each can train in; and the versions of driver and "
                  "libraries.");
  DevicesTask task;
  auto& cli = command.cli();
  cli.add_flag("--json", task.json, "Print JSON");
  cli.add_flag("--measure", task.measure,
               "Train for some seconds in each precision and print how fast that is: which is "
               "faster depends on the processor");
  cli.add_option("--save-description", task.description,
                 "Write cuDNN's description of the GPU --device (default cuda), with which plans "
                 "for it are made on machines without one")
      ->type_name("FILE");
  cli.add_option("--device", task.device,
                 "Where to compute: cpu, cuda or cuda:N; here, to print this one alone, and to "
                 "fail where it is not there")
      ->type_name("DEVICE");
  command.example("moe-device");
  command.example("moe-device --device cuda --json");
  return command.run(argc, argv, [&] { print(list_devices(task)); });
}
