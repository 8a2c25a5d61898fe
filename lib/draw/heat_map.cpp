#include <fmt/format.h>

#include <algorithm>

#include "draw/charts.h"
#include "draw/html.h"

namespace hardmoe {

Picture draw(const HeatMap& chart) {
  constexpr int names = 136, head = 22, row_height = 19;
  const int columns = static_cast<int>(chart.columns.size());
  const int cell = std::clamp(columns == 0 ? 40 : 560 / columns, 30, 52);
  Picture picture{chart.title.name,
                  chart.title.description,
                  names + columns * cell + 4,
                  head + row_height * static_cast<int>(chart.rows.size()) + 4,
                  {}};
  const auto text = [&](double x, double y, std::string_view content, const char* anchor) {
    picture.body += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>", x,
                                y, anchor, escape_markup(content));
  };
  for (int c = 0; c < columns; ++c) {
    text(names + (c + 0.5) * cell, head - 7, shortened(chart.columns[static_cast<size_t>(c)], 6),
         "middle");
  }
  for (size_t r = 0; r < chart.rows.size(); ++r) {
    const int top = head + row_height * static_cast<int>(r);
    text(names - 6, top + 14, shortened(chart.rows[r], 16), "end");
    for (size_t c = 0; c < chart.cells[r].size(); ++c) {
      const auto& [content, shade] = chart.cells[r][c];
      const int at = names + cell * static_cast<int>(c);
      // At most 60% opaque, so that the number stays readable on it in both themes.
      picture.body += fmt::format(
          "<rect class=\"{}\" fill-opacity=\"{:.2f}\" x=\"{}\" y=\"{}\" width=\"{}\" "
          "height=\"{}\"/>",
          fill_class(0), 0.6 * std::clamp(shade, 0.0, 1.0), at, top, cell - 1, row_height - 1);
      text(at + 0.5 * cell - 0.5, top + 14, content, "middle");
    }
  }
  return picture;
}

}  // namespace hardmoe
