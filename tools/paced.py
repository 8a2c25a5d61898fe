"""A benchmark that waits to be told to measure, so that several can take turns; for gpu_check.py and bench/network.py."""
import json
import pathlib
import queue
import subprocess
import threading
import time


class Paced:
    """A process that says "ready" and then measures one round for each line it is sent. What goes wrong with it
    is a RuntimeError that says so."""

    def __init__(self, command, log, environment):
        self.log = log
        try:
            with open(log, "w") as errors:
                self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE,
                                                stdout=subprocess.PIPE, text=True, stderr=errors, env=environment)
        except OSError as error:
            raise RuntimeError(f"{command[0]}: {error.strerror}") from None
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.strip())
        self.lines.put(None)

    def line(self, limit):
        try:
            line = self.lines.get(timeout=max(limit, 0.1))
        except queue.Empty:
            raise RuntimeError(f"no answer within {limit:.0f} s") from None
        if line is None:
            raise RuntimeError(last_line(self.log))
        return line

    def ready(self, limit):
        deadline = time.monotonic() + limit
        while self.line(deadline - time.monotonic()) != "ready":
            pass

    def round(self, limit):
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except OSError:
            raise RuntimeError(last_line(self.log)) from None
        return json.loads(self.line(limit))

    def rest(self, limit):
        """What it still prints once its input ends."""
        self.process.stdin.close()
        found, deadline = [], time.monotonic() + limit
        while True:
            try:
                found.append(json.loads(self.line(deadline - time.monotonic())))
            except RuntimeError:
                return found

    def stop(self):
        self.process.kill()
        self.process.wait()


def last_line(log):
    lines = [line for line in pathlib.Path(log).read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:500] if lines else "it ended without a message"
