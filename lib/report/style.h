// The style sheet of a report's page: light and dark by what the reader prefers, narrow screens,
// and paper.
#pragma once

#include <string>

namespace hardmoe {

/// Returns the page's CSS, that of its drawings included.
std::string page_style();

}  // namespace hardmoe
