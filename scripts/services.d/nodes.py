"""A node: one long-lived process, its directory, its port, its pid file."""

import json
import os
import random
import signal
import socket
import subprocess
import time


class Failure(Exception):
    """What went wrong and what to do about it, in one message for the user."""


class State:
    """What must survive a restart of a node: above all its ports."""

    def __init__(self, home):
        self.home = home
        self.path = f"{home}/state.json"
        self.values = {}
        if os.path.exists(self.path):
            with open(self.path) as file:
                self.values = json.load(file)

    def keep(self, key, make):
        """The value kept under `key`; made and kept if there is none yet."""
        if key not in self.values:
            self.values[key] = make()
            with open(f"{self.path}.new", "w") as file:
                json.dump(self.values, file, indent=2)
            os.replace(f"{self.path}.new", self.path)
        return self.values[key]

    def proxied(self):
        """Whether there are proxies: that is settled when the cluster is made."""
        return self.keep("proxied", lambda: os.environ.get("TIDEMARK_PROXIED") == "1")

    def port(self, name):
        taken = [value for key, value in self.values.items() if key.startswith("port ")]
        return self.keep(f"port {name}", lambda: free_port(taken))


def free_port(taken):
    """A free port below the range that the kernel gives to outgoing connections.

    From that range a client that retries a dead node could be given the node's
    own port, connect to itself, and keep the node from coming back.
    """
    for _ in range(1000):
        port = random.randint(20000, 32000)
        if port not in taken and is_free(port):
            return port
    raise Failure("found no free port between 20000 and 32000")


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait_until(what, seconds, condition, nodes=()):
    """Poll `condition` until it is true; a node that ends meanwhile is the failure."""
    deadline = time.monotonic() + seconds
    while not condition():
        for node in nodes:
            if not node.pid():
                raise Failure(f"{node.name} ended while waiting until {what}\n{node.log_tail()}")
        if time.monotonic() > deadline:
            tails = "\n".join(node.log_tail() for node in nodes)
            raise Failure(f"not after {seconds} s: {what}\n{tails}")
        time.sleep(0.1)


class Node:
    def __init__(self, state, name, command, environment=None):
        self.name = name
        self.port = state.port(name)
        # Where its clients are told to come instead, if there are proxies.
        self.proxy = state.port(f"{name} proxy") if state.proxied() else None
        self.directory = f"{state.home}/{name}"
        self.command = command
        self.environment = environment or {}
        os.makedirs(self.directory, exist_ok=True)

    def spawn(self):
        """Start it unless it runs; true if it was started."""
        if self.pid():
            return False
        if not is_free(self.port):
            raise Failure(
                f"port {self.port} of {self.name} is taken by another process; "
                "end that, or choose new ports with `scripts/services reset`"
            )
        with open(f"{self.directory}/log", "ab") as log:
            # A session of its own, and none of our files: it outlives this
            # script, the caller's terminal, and a pipe the caller reads.
            process = subprocess.Popen(
                self.command(),
                cwd=self.directory,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        with open(f"{self.directory}/pid", "w") as file:
            file.write(f"{process.pid} {born(process.pid)}")
        return True

    def pid(self):
        """Its pid if it lives. A pid that another process got since is not ours."""
        try:
            with open(f"{self.directory}/pid") as file:
                pid, birth = file.read().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid) if born(pid) == birth else None

    def status(self):
        pid = self.pid()
        if not pid:
            return "stopped"
        return "paused" if process_stat(pid)[0] == "T" else "running"

    def send(self, number):
        pid = self.pid()
        if not pid:
            raise Failure(f"{self.name} does not run")
        os.kill(pid, number)

    def pause(self):
        self.send(signal.SIGSTOP)

    def resume(self):
        self.send(signal.SIGCONT)

    def kill(self):
        self.send(signal.SIGKILL)
        wait_until(f"{self.name} is gone", 10, lambda: not self.pid())

    def terminate(self):
        self.send(signal.SIGTERM)
        # A frozen process would only hear it once thawed.
        self.send(signal.SIGCONT)

    def end(self):
        """Wait for the end after `terminate`; insist when it takes too long."""
        deadline = time.monotonic() + 15
        while self.pid() and time.monotonic() < deadline:
            time.sleep(0.05)
        if self.pid():
            self.kill()

    def log_tail(self):
        try:
            with open(f"{self.directory}/log", errors="replace") as file:
                lines = file.readlines()[-20:]
        except FileNotFoundError:
            lines = []
        return f"--- the end of {self.directory}/log\n{''.join(lines)}"


def process_stat(pid):
    """The fields of /proc/PID/stat from the state on, or None."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def born(pid):
    """When a process started, in ticks since boot; None if it is dead."""
    stat = process_stat(pid)
    return None if stat is None or stat[0] == "Z" else stat[19]
