"""The embedded run: what its log costs as it grows, and how much it takes.

    embedded.py TIDEMARK [--events N] [--rate R] [--seconds S] [--workers W]

Two runs of the program, each on a fresh SQLite file:

- at a rate, for N events. Ten minutes of the default rate are 600,000 events; at a higher rate
  they come sooner, and a log that costs more the longer it is shows it all the same. The CPU of
  the generator's thread, which owns the log, and of the workers is compared between the first
  tenth and the last.
- with --rate max, for S seconds: events a second, and the CPU of each by threads.

It fails where the last tenth costs the generator half as much again as the first, or where the
history takes longer than five seconds.
"""

import argparse
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter

HISTORY_AGE = 60


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Run:
    """The program, and what it says of itself."""

    def __init__(self, program, directory, *arguments):
        self.port = free_port()
        # Whatever is configured of a Kafka or a database would be used.
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("TIDEMARK_")}
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [program, "--http", f"127.0.0.1:{self.port}", "--log", "warn",
             "--sqlite", str(pathlib.Path(directory) / f"{self.port}.sqlite"), *arguments],
            stdout=subprocess.DEVNULL, env=environment)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()

    def metrics(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as answer:
                return answer.read().decode()
        except OSError:
            return ""

    def total(self, name):
        values = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", self.metrics(), re.M)
        return sum(map(float, values))

    def events(self):
        return self.total("tidemark_events_read_total")

    def wait_until(self, holds):
        while not holds():
            if self.process.poll() is not None:
                sys.exit("embedded: the program has ended")
            time.sleep(0.05)

    def wait_for_history(self):
        """Until what is read is about now, and written. Returns how long that took."""
        newest = r'^tidemark_view_watermark_lag_seconds{view="log_analysis"} (\S+)$'

        def is_live():
            found = re.search(newest, self.metrics(), re.M)
            # The watermark is two hours behind what has been read.
            return found and float(found[1]) < 2 * 3600 + HISTORY_AGE

        self.wait_until(is_live)
        epoch = self.total("tidemark_epoch_open")
        self.wait_until(lambda: self.total("tidemark_epoch_written") >= epoch)
        return time.monotonic() - self.started

    def cpu(self):
        """Seconds of CPU so far, by the name of the thread."""
        seconds = Counter()
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                name = (task / "comm").read_text().strip()
                nanos = int((task / "schedstat").read_text().split()[0])
            except (FileNotFoundError, ProcessLookupError):
                continue
            seconds[re.sub(r"-\d+$", "", name)] += nanos / 1e9
        return seconds

    def resident(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s*(\d+)", status)[1]) // 1024


def steady(program, directory, options):
    with Run(program, directory, "-w", str(options.workers), "--rate", str(options.rate)) as run:
        took = run.wait_for_history()
        print(f"two days of history are read and written after {took:.1f} s (target: 5 s)")
        begun = run.events()
        tenths = []
        before = run.cpu()
        for tenth in range(1, 11):
            due = begun + options.events * tenth / 10
            run.wait_until(lambda: run.events() >= due)
            now = run.cpu()
            tenths.append((now - before, run.resident()))
            before = now
    print(f"{options.events:,} events at {options.rate:,}/s, CPU by tenths:")
    for number, (cpu, resident) in enumerate(tenths, 1):
        print(f"  {number:2}  generator {cpu['generator']:6.3f} s   "
              f"workers {cpu['timely:work']:6.3f} s   {resident} MB")
    first, last = tenths[0][0]["generator"], tenths[-1][0]["generator"]
    print(f"the generator's last tenth costs {last / first:.2f} of its first (at most 1.5)")
    return took <= 5 and last <= 1.5 * first


def at_most(program, directory, options):
    def written(run):
        return run.events() - run.total("tidemark_in_flight_events")

    with Run(program, directory, "-w", str(options.workers), "--rate", "max") as run:
        run.wait_for_history()
        events, rows = written(run), run.total("tidemark_rows_written_total")
        cpu, begun = run.cpu(), time.monotonic()
        time.sleep(options.seconds)
        events, span = written(run) - events, time.monotonic() - begun
        rows = run.total("tidemark_rows_written_total") - rows
        busy, resident = run.cpu() - cpu, run.resident()
    micros = 1e6 * sum(busy.values()) / max(events, 1)
    print(f"--rate max, {options.workers} workers, {span:.0f} s: {events / span:,.0f} events/s and "
          f"{rows / span:,.0f} rows/s written (target: 200,000 events/s on two cores), {resident} MB")
    print(f"  CPU of an event {micros:.1f} µs, so that two cores of their own write "
          f"{2e6 / micros:,.0f} events/s at the most:")
    for name, seconds in busy.most_common(4):
        print(f"  {name:12} {1e6 * seconds / max(events, 1):5.2f} µs   {seconds / span:.2f} cores")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--events", type=int, default=600_000)
    parser.add_argument("--rate", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        holds = steady(options.program, directory, options)
        at_most(options.program, directory, options)
    sys.exit(not holds)


if __name__ == "__main__":
    main()
