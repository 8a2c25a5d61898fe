#include "report/style.h"

#include <fmt/format.h>

#include "draw/picture.h"

namespace hardmoe {
namespace {

constexpr const char* layout = R"(
body { margin: 0 auto; max-width: 72rem; padding: 0 1rem 3rem; line-height: 1.45;
  font-family: system-ui, 'DejaVu Sans', sans-serif; color: var(--ink); background: var(--paper); }
h1 { font-size: 1.6rem; margin: 1.2rem 0 0; }
h2 { font-size: 1.3rem; margin: 2.4rem 0 0.4rem; border-bottom: 1px solid var(--grid); }
h3 { font-size: 1.05rem; margin: 1.8rem 0 0.4rem; }
h4 { font-size: 0.95rem; margin: 1.2rem 0 0.2rem; }
p { max-width: 46rem; margin: 0.5rem 0; }
ul { margin: 0.4rem 0; padding-left: 1.2rem; }
a { color: var(--link); }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 0.2rem 1rem;
  font-size: 0.9rem; }
nav .chapter { flex-basis: 100%; font-weight: 600; }
.note, figcaption, footer { color: var(--quiet); font-size: 0.85rem; }
footer { margin-top: 3rem; }
.wide { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; margin: 0.6rem 0; font-size: 0.9rem; }
caption { text-align: left; color: var(--quiet); font-size: 0.85rem; padding-bottom: 0.2rem; }
th, td { padding: 0.2rem 0.7rem 0.2rem 0; border-bottom: 1px solid var(--grid);
  vertical-align: top; }
thead th { font-weight: 600; }
th[scope=row] { text-align: left; font-weight: 400; overflow-wrap: anywhere; min-width: 6rem; }
.numbers td, .numbers thead th { text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.texts td, .texts thead th, thead th:first-child, .numbers thead th:first-child {
  text-align: left; }
figure { margin: 0.6rem 0; }
figure svg { display: block; width: 100%; min-width: 21rem; height: auto; }
figure img { max-width: 100%; height: auto; display: block; }
.side-by-side { display: flex; flex-wrap: wrap; gap: 0.4rem 1.6rem; align-items: flex-start; }
.side-by-side figure { flex: 1 1 20rem; min-width: 0; }
.gallery { display: flex; flex-wrap: wrap; gap: 0.8rem; }
.gallery figure { margin: 0; width: 8.5rem; }
.gallery figcaption { font-size: 0.75rem; overflow-wrap: anywhere; line-height: 1.3; }
.gallery figcaption span { display: block; }
.gallery .blank { display: block; width: 72px; height: 72px; background: #808080; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { display: none; }
  .wide { overflow: visible; }
  figure, tr, h2, h3, h4 { break-inside: avoid; }
  h2, h3, h4, p:has(+ .gallery), p:has(+ figure) { break-after: avoid; }
  figure svg { min-width: 0; }
  .side-by-side { display: block; }
  .side-by-side figure { display: inline-block; width: 47%; margin-right: 2%; vertical-align: top; }
}
)";

constexpr const char* light =
    ":root { --paper: #ffffff; --ink: #1b1f24; --quiet: #5b6470; --grid: #dde1e6; --link: #005a9c; "
    "color-scheme: light; }\n";
constexpr const char* dark =
    ":root { --paper: #14171b; --ink: #e8eaed; --quiet: #a3abb5; --grid: #333940; --link: #8ac7ff; "
    "color-scheme: dark; }\n";

}  // namespace

std::string page_style() {
  // Paper is always light: dark is for screens.
  return fmt::format("\n{}{}@media screen and (prefers-color-scheme: dark) {{\n{}{}}}\n{}", light,
                     drawing_style(Theme::light), dark, drawing_style(Theme::dark), layout);
}

}  // namespace hardmoe
