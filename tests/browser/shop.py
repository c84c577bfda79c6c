"""A shop of a test's own: topics, a database, and the programs under test."""

import itertools
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

import pymongo

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = pathlib.Path(os.environ.get("TIDEMARK_PROGRAMS", ROOT / "target/debug"))
BROKERS = os.environ["TIDEMARK_BROKERS"]
MONGODB = os.environ["TIDEMARK_MONGODB_URI"]
PATIENCE = 120

_numbers = itertools.count()


def eventually(what, check, patience=PATIENCE):
    """Waits until `check` gives something true, and gives that. The last thing that was
    wrong is in the failure."""
    deadline = time.monotonic() + patience
    while True:
        try:
            found, problem = check(), "it is not so"
        except Exception as error:  # whatever it is, it may pass
            found, problem = None, error
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {patience} s: {problem}")
        time.sleep(0.1)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def acknowledged(generator):
    """Waits until a generator is done; gives the number of events that Kafka has taken."""
    text, _ = generator.communicate(timeout=PATIENCE)
    assert generator.returncode == 0, text
    return int(re.search(rb"acknowledged (\d+)", text).group(1))


class Shop:
    """Topics and a database, and where the pipeline answers."""

    def __init__(self, name, *arguments):
        self.name = f"browser-{name}-{os.getpid()}-{next(_numbers)}"
        self.prefix = f"{self.name}-"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.arguments = arguments
        self.folder = tempfile.TemporaryDirectory(prefix=self.name)
        self.client = pymongo.MongoClient(MONGODB)
        self.database = self.client.get_database(self.name)
        self.log = open(pathlib.Path(self.folder.name) / "log", "wb")
        self.pipeline = None
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK_")
        }

    def generate(self, *arguments):
        """Runs the generator to its end; gives the number of events that Kafka has taken."""
        return acknowledged(self.generator(*arguments, stdout=subprocess.PIPE))

    def generator(self, *arguments, **options):
        """Starts the generator."""
        common = ["--brokers", BROKERS, "--topic-prefix", self.prefix, "--quiet"]
        command = [PROGRAMS / "generator", *common, *arguments]
        return subprocess.Popen(command, env=self.environment, stderr=self.log, **options)

    def send(self, topic, *lines):
        """Sends messages of the test's own."""
        common = ["--brokers", BROKERS, "--topic-prefix", self.prefix]
        subprocess.run(
            [PROGRAMS / "generator", "send", topic, *common],
            input=b"\n".join(lines), env=self.environment, stdout=self.log, check=True,
        )

    def start(self):
        """Starts the pipeline, and waits until it is ready."""
        command = [
            PROGRAMS / "tidemark", "-w", "2", "--brokers", BROKERS, "--mongodb-uri", MONGODB,
            "--database", self.name, "--topic-prefix", self.prefix, "--take-over",
            "--http", f"127.0.0.1:{self.port}", *self.arguments,
        ]
        self.pipeline = subprocess.Popen(
            command, env=self.environment, cwd=self.folder.name, stdout=self.log, stderr=self.log
        )
        eventually("it is ready", lambda: self.has_ended() or self.get("/readyz").status == 200)
        if self.has_ended():
            raise AssertionError(pathlib.Path(self.log.name).read_text())

    def has_ended(self):
        return self.pipeline.poll() is not None

    def get(self, path):
        return urllib.request.urlopen(self.url + path, timeout=10)

    def kill(self):
        self.pipeline.kill()
        self.pipeline.wait()

    def caught_up(self, events):
        """Waits until so many events have been read, and their effect is written."""
        def lines():
            text = self.get("/metrics").read().decode().splitlines()
            numbers = [line.rsplit(" ", 1) for line in text if line and line[0] != "#"]
            return [(name, float(value)) for name, value in numbers]
        def done():
            found = lines()
            total = lambda name: sum(v for n, v in found if n.split("{")[0] == name)
            read, lag = total("tidemark_events_read_total"), total("tidemark_partition_lag")
            behind = total("tidemark_in_flight_events")
            return read >= events and lag == 0 and behind == 0
        eventually(f"{events} events are read and written", done)

    def close(self):
        if self.pipeline and self.pipeline.poll() is None:
            self.pipeline.send_signal(signal.SIGINT)
            try:
                self.pipeline.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
        self.client.drop_database(self.name)
        self.client.close()
        self.log.close()
        self.folder.cleanup()


def services(*arguments):
    """Breaks and mends Kafka and MongoDB."""
    command = [ROOT / "scripts/services", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
