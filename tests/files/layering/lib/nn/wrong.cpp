// Never compiled: tools/check_includes.sh must refuse this folder.
#include <nlohmann/json.hpp>

#include "engine/engine.h"
