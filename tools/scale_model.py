#!/usr/bin/env python3
"""What a run would take on W workers, by the pieces of a finished run: docs/scale.md says what is assumed.

  tools/scale_model.py runs/k16
  tools/scale_model.py runs/k16 --images 100e6 --experts 512 --workers 1 8 64 512 --speed 20 --price 2.5

A worker is what one job has: a GPU, a node, or cores as the measured run had. Prints a table, and each piece's
seconds for one image.
"""
import argparse
import heapq
import json
import pathlib
import random


def record(run, stage):
    found = json.loads((run / stage / "stage.json").read_text())
    if not found["done"]:
        raise SystemExit(f"{run / stage}: not done; measure a finished run")
    # Of a training that was interrupted "seconds" are those of its last process.
    return max(found["seconds"], found["results"].get("seconds", 0))


class Pieces:
    """Seconds of a run's stages."""
    def __init__(self, run):
        self.sizes = json.loads((run / "partition/partition.json").read_text())["sizes"]
        self.images = sum(self.sizes)
        self.experts = len(self.sizes)
        self.base, self.embedding, self.partition, self.decoder = (
            record(run, stage) for stage in ("base", "embedding", "partition", "decoder"))
        self.expert = [record(run, f"experts/{k}") for k in range(self.experts)]
        self.evaluation = sum(record(run, f"eval/{row}") for row in ("base", "local", "shared"))

    def scaled(self, images, experts, speed, expert_epochs):
        """The same for other numbers of images and experts, on workers `speed` times as fast, with experts
        trained for `expert_epochs` times as many epochs."""
        more = images / self.images / speed
        work = sum(self.expert) * more * expert_epochs
        # Parts differ as the measured ones do.
        mean = self.images / self.experts
        self.expert = [work / experts * self.sizes[k % self.experts] / mean for k in range(experts)]
        self.base, self.embedding, self.decoder = (
            seconds * more for seconds in (self.base, self.embedding, self.decoder))
        self.partition *= more
        self.evaluation /= speed
        self.images, self.experts = images, experts


def makespan(durations, workers, options):
    """Seconds until the last expert is done, longest first; and of all attempts together."""
    draw = random.Random(1)
    free = [0.0] * workers
    waiting = [(0.0, seconds) for seconds in sorted(durations, reverse=True)]  # from when on, how long
    end = work = 0.0
    while waiting:
        begin = heapq.heappop(free)
        ready = next((i for i, (since, _) in enumerate(waiting) if since <= begin), None)
        if ready is None:  # nothing but tasks that were queued again
            begin = min(since for since, _ in waiting)
            ready = next(i for i, (since, _) in enumerate(waiting) if since <= begin)
        _, seconds = waiting.pop(ready)
        took = options.overhead + seconds
        if draw.random() < options.failures:
            ran = draw.random() * seconds
            kept = max(0.0, ran - options.checkpoint)
            took = options.overhead + ran
            waiting.append((begin + took + options.requeue, seconds - kept))
        work += took
        end = max(end, begin + took)
        heapq.heappush(free, begin + took)
    return end, work


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path, help="a finished run of moe-run")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 8, 64, 512])
    parser.add_argument("--images", type=float, help="(default: the run's)")
    parser.add_argument("--experts", type=int, help="(default: the run's)")
    parser.add_argument("--speed", type=float, default=1, help="of a worker, in those of the measured run")
    parser.add_argument("--expert-epochs", type=float, default=1, help="of an expert, in those of the run's")
    parser.add_argument("--price", type=float, default=0, help="of a worker's hour")
    parser.add_argument("--partition", type=float, help="seconds (default: the run's, for each image)")
    parser.add_argument("--overhead", type=float, default=0, help="seconds that each job takes besides")
    parser.add_argument("--failures", type=float, default=0, help="share of the experts' attempts that end early")
    parser.add_argument("--requeue", type=float, default=120, help="seconds until such a job begins again")
    parser.add_argument("--checkpoint", type=float, default=300, help="seconds of work that it loses at most")
    options = parser.parse_args()
    pieces = Pieces(options.run)
    pieces.scaled(options.images or pieces.images, options.experts or pieces.experts, options.speed,
                  options.expert_epochs)
    if options.partition is not None:
        pieces.partition = options.partition
    alone = pieces.base + pieces.partition + pieces.decoder + pieces.evaluation
    print(f"{pieces.images:.0f} images, {pieces.experts} experts of {sum(pieces.expert) / pieces.experts:.1f} s")
    print(f"{'workers':>7}  {'base':>9}  {'embedding':>9}  {'partition':>9}  {'experts':>9}  {'decoder':>9}  "
          f"{'evaluate':>9}  {'all, s':>9}  {'speed-up':>8}  {'base':>5}  {'worker hours':>12}  {'price':>8}")
    first = None
    for workers in options.workers:
        embedding = pieces.embedding / workers + options.overhead
        experts, work = makespan(pieces.expert, workers, options)
        seconds = alone + 4 * options.overhead + embedding + experts
        first = first or seconds
        hours = (alone + pieces.embedding + work) / 3600
        print(f"{workers:7}  {pieces.base:9.1f}  {embedding:9.1f}  {pieces.partition:9.1f}  {experts:9.1f}  "
              f"{pieces.decoder:9.1f}  {pieces.evaluation:9.1f}  {seconds:9.1f}  {first / seconds:8.2f}  "
              f"{pieces.base / seconds:5.0%}  {hours:12.2f}  {hours * options.price:8.2f}")


if __name__ == "__main__":
    main()
