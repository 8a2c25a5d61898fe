#include "engine/communicator.h"

namespace hardmoe {
namespace {

class SelfCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void all_reduce(float*, int64_t, DeviceQueue) override {}
  void all_gather(float*, int64_t, DeviceQueue) override {}
  void all_to_all(float*, int64_t, DeviceQueue) override {}
};

}  // namespace

std::shared_ptr<Communicator> self_communicator() { return std::make_shared<SelfCommunicator>(); }

}  // namespace hardmoe
