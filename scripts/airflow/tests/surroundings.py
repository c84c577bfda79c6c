"""The services, the programs and the Airflow that the tests run with."""

import os
import socket
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass, field
from pathlib import Path

BROKERS = os.environ["TIDEMARK_BROKERS"]
MONGODB_URI = os.environ["TIDEMARK_MONGODB_URI"]
PROGRAMS = Path(os.environ["TIDEMARK_PROGRAMS"])
HOME = Path(os.environ["AIRFLOW_HOME"])

# For a run that hangs; one takes 10 to 30 s, most of it Airflow's own start.
SECONDS = 150


def unique(name: str) -> str:
    """A name for a topic prefix or a database that nobody else has."""
    return f"{name}_{uuid.uuid4().hex[:12]}"


def secret_file(text: str) -> Path:
    """A file that only we can read, with `text`."""
    handle, path = tempfile.mkstemp(dir=HOME.parent, prefix="uri-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    return Path(path)


def deaf_port() -> socket.socket:
    """A port that refuses connections for as long as this lives: bound, and not listening."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    return bound


@dataclass
class Ended:
    """How a command of Airflow ended. What a task logs is in what it prints."""

    code: int
    log: str


@dataclass
class Airflow:
    """The command `airflow`, with settings of the DAGs in its environment."""

    settings: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str) -> Ended:
        program = Path(sys.executable).with_name("airflow")
        # Not one setting of whoever runs the tests.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK_")}
        environment["TIDEMARK_PROGRAMS"] = str(PROGRAMS)
        environment["PYTHONPATH"] = str(Path(__file__).with_name("impatient"))
        ended = subprocess.run(
            [program, *arguments],
            env={**environment, **self.settings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout)

    def test(self, dag: str) -> Ended:
        """Runs a DAG from its first task to its last, in this Airflow and without its scheduler."""
        return self.run("dags", "test", dag)
