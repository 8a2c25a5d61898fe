"""What gpu_check.py found, as people read it."""


def table(result, rounds):
    """The text of OUT/table.txt: `result` as in OUT/gpu.json, once its device is known."""
    lines = [f"{result['device']['name']}"]
    if result["rows"]:
        lines += ["", f"{'images/s, medians of ' + str(rounds) + ' rounds in turn':44}"
                  f"{'hardmoe':>10}{'PyTorch':>10}{'ratio':>7}{'of peak':>9}{'memory':>9}{'theirs':>9}"]
    for row in result["rows"]:
        peer = row.get("pytorch", {})
        cells = [f"{row['hardmoe']['images_per_second']:.0f}", number(peer.get("images_per_second"), ".0f"),
                 number(row.get("ratio"), ".2f"), number(row["of_peak"], ".1%"),
                 memory(row["hardmoe"]["memory_bytes"]), memory(peer.get("memory_bytes"))]
        lines.append(f"{row['row'] + ', batch ' + str(row['batch']):44}" +
                     "".join(f"{cell:>{width}}" for cell, width in zip(cells, (10, 10, 7, 9, 9, 9))))
    if result["alone"]:
        lines += ["", f"{'images/s by itself':44}{'hardmoe':>10}{'':17}{'of peak':>9}{'memory':>9}"]
    for row in result["alone"]:
        lines.append(f"{row['row'] + ', batch ' + str(row['batch']):44}"
                     f"{row['hardmoe']['images_per_second']:10.0f}{'':17}{number(row['of_peak'], '.1%'):>9}"
                     f"{memory(row['hardmoe']['memory_bytes']):>9}")
    for row in result["alone"] + result["rows"]:
        parts = row.get("milliseconds_a_step_in")
        if not parts:
            continue
        total = sum(parts.values()) or 1
        lines += ["", f"{row['row']}: milliseconds a step"]
        lines += [f"  {part:42}{value:10.3f}{value / total:8.1%}"
                  for part, value in list(parts.items())[:15]]
    if result["kmeans"]:
        lines += ["", "k-means, seconds an iteration"]
    for line in result["kmeans"]:
        kind = "balanced" if line["tolerance"] > 0 else "plain"
        lines.append(f"  {line['n']} x {line['d']}, K = {line['k']}, {kind}".ljust(44) +
                     f"{line['iteration_s']:10.4f}")
    if result["experts"]:
        lines += ["", "a stage of 8 experts, over k stages alone (PyTorch's, and how much faster than it)"]
    for line in result["experts"]:
        peer = line.get("pytorch", {})
        lines.append(f"  k = {line['chosen']}".ljust(44) +
                     f"{line['hardmoe']['ratio_to_chosen_stages']:10.2f}"
                     f"{number(peer.get('ratio_to_chosen_stages'), '.2f'):>10}"
                     f"{number(line.get('ratio'), '.2f'):>10}")
    if result["input"]:
        found = result["input"]
        lines += ["", f"input pipeline: {found['images_per_second']:.0f} images/s of {found['pixels']}-px"
                  f" JPEGs ({found['mean_bytes']} bytes) on {found['processors']} processors; that is"]
        lines += [f"  {name + ' x':42}{times:10.2f}" for name, times in found["of_the_step"].items()]
    lines += ["", "parts"]
    for part in result["parts"]:
        tests = part.get("tests")
        counts = ""
        if tests:
            counts = f" ({tests['run']} run, {tests['skipped']} skipped, {tests['failed']} failed)"
        lines.append(f"  {part['name']}: {part['status']}{counts}, {part['seconds']} s")
    return "\n".join(lines) + "\n"


def number(value, form):
    return "-" if value is None else format(value, form)


def memory(value):
    return "-" if not value else f"{value / 2**30:.1f} GiB"
