#include "tasks/devices.h"

#include <functional>

#include "base/device_name.h"
#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/text.h"
#include "engine/cuda_engine.h"
#include "gpu/devices.h"
#include "tasks/device_speed.h"

namespace hardmoe {
namespace {

/// The GPUs of this machine, or why there are none.
struct Gpus {
  std::vector<CudaDevice> devices;
  std::string reason;
};

Gpus find_gpus() {
  try {
    return {cuda_devices(), ""};
  } catch (const Error& error) {
    return {{}, error.what()};
  }
}

CudaDevice find_gpu(int number) {
  for (CudaDevice& gpu : cuda_devices()) {
    if (gpu.number == number) return std::move(gpu);
  }
  fail_usage("--device cuda:{}: there is no such GPU here; moe-device lists those there are",
             number);
}

std::vector<std::string> list_of(const std::vector<Precision>& precisions) {
  std::vector<std::string> names;
  for (const Precision precision : precisions) names.emplace_back(name_of(precision));
  return names;
}

std::string names_of(const std::vector<Precision>& precisions) {
  return join(list_of(precisions), ", ");
}

std::vector<Precision> precisions_where(const std::function<bool(Precision)>& trains) {
  std::vector<Precision> found;
  for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
    if (trains(precision)) found.push_back(precision);
  }
  return found;
}

std::vector<Precision> precisions_of(const Engine& engine) {
  return precisions_where([&](Precision precision) { return engine.supports(precision); });
}

std::vector<Precision> precisions_of(const CudaDevice& gpu) {
  return precisions_where(
      [&](Precision precision) { return trains_in(gpu.capability, precision); });
}

std::string gibibytes(int64_t bytes) {
  return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / (1 << 30));
}

std::string capability(int number) { return fmt::format("{}.{}", number / 10, number % 10); }

/// A device's speeds as JSON: {"fp32": images a second, …}; null where they were not measured.
Json speeds_json(const std::string& device, bool measure) {
  if (!measure) return nullptr;
  Json json = Json::object();
  for (const auto& [precision, rate] : device_speeds(*make_engine(device))) {
    json[name_of(precision)] = rate;
  }
  return json;
}

std::string name_of(const CudaDevice& gpu) { return fmt::format("cuda:{}", gpu.number); }

std::string as_json(const Engine* cpu, const Gpus& gpus, bool measure) {
  Json json = {{"devices", Json::array()}, {"versions", Json::object()}};
  if (cpu != nullptr) {
    json["devices"].push_back({{"device", "cpu"},
                               {"name", cpu->describe()},
                               {"precisions", list_of(precisions_of(*cpu))},
                               {"images_per_second", speeds_json("cpu", measure)}});
  }
  for (const CudaDevice& gpu : gpus.devices) {
    Json line = {{"device", name_of(gpu)},
                 {"name", gpu.name},
                 {"compute_capability", capability(gpu.capability)},
                 {"multiprocessors", gpu.multiprocessors},
                 {"memory_bytes", gpu.memory_bytes},
                 {"free_bytes", nullptr},
                 {"precisions", list_of(precisions_of(gpu))},
                 {"images_per_second", speeds_json(name_of(gpu), measure)}};
    if (gpu.free_bytes >= 0) line["free_bytes"] = gpu.free_bytes;
    json["devices"].push_back(std::move(line));
  }
  for (const auto& [name, version] : cuda_versions()) json["versions"][name] = version;
  if (!gpus.reason.empty()) json["no_gpu"] = gpus.reason;
  return json.dump(2) + "\n";
}

std::string as_table(const Engine* cpu, const Gpus& gpus, bool measure) {
  std::vector<std::vector<std::string>> rows = {
      {"device", "trains in", "memory", "free", "compute capability", "name"}};
  if (cpu != nullptr) {
    rows.push_back({"cpu", names_of(precisions_of(*cpu)), "", "", "", cpu->describe()});
  }
  for (const CudaDevice& gpu : gpus.devices) {
    rows.push_back({name_of(gpu), names_of(precisions_of(gpu)), gibibytes(gpu.memory_bytes),
                    gpu.free_bytes < 0 ? "busy" : gibibytes(gpu.free_bytes),
                    capability(gpu.capability), gpu.name});
  }
  std::string text = format_table(rows);
  for (const auto& [name, version] : cuda_versions())
    text += fmt::format("{}: {}\n", name, version);
  const auto measured = [&](const std::string& device) {
    text += fmt::format("{} trains {}: {}\n", device, measured_network,
                        speeds_text(device_speeds(*make_engine(device))));
  };
  if (measure && cpu != nullptr) measured("cpu");
  for (const CudaDevice& gpu : gpus.devices) {
    if (measure) measured(name_of(gpu));
  }
  return gpus.reason.empty() ? text : text + gpus.reason + "\n";
}

}  // namespace

std::string list_devices(const DevicesTask& task) {
  if (!task.description.empty()) {
    const auto number = parse_device_name(task.device.empty() ? "cuda" : task.device);
    if (!number) fail_usage("--save-description: only GPUs are described; give --device cuda:N");
    write_file_atomic(task.description, describe_cuda_device(*number));
  }
  auto cpu = make_engine("cpu");
  Gpus gpus;
  if (task.device.empty()) {
    gpus = find_gpus();
  } else if (const auto number = parse_device_name(task.device)) {
    cpu.reset();
    gpus.devices = {find_gpu(*number)};
  }
  return task.json ? as_json(cpu.get(), gpus, task.measure)
                   : as_table(cpu.get(), gpus, task.measure);
}

}  // namespace hardmoe
