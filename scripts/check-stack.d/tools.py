"""What the checks have in common: programs, ports, processes, waiting."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HOME = f"{ROOT}/target/stack"

# Kafka and MongoDB are had as the other tests have them.
sys.path.append(f"{ROOT}/scripts/services.d")


class Problem(Exception):
    """What keeps a check from being made, or a wait from ending."""


def say(text):
    print(f"check-stack: {text}", file=sys.stderr, flush=True)


def ports(count):
    """So many ports of 127.0.0.1 that are free now, each another."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return found


def get(url, token=None, **query):
    """(status, text) of a GET; 0 where nobody answers."""
    if query:
        url += "?" + urllib.parse.urlencode(query)
    try:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def data(url, **query):
    """The `data` of an answer of Prometheus' API."""
    status, text = get(url, **query)
    if status != 200:
        raise Problem(f"{url} {query}: {status} {text}")
    return json.loads(text)["data"]


class Process:
    """A program in the background, with its output in a file."""

    def __init__(self, name, command, log, **environment):
        self.name, self.log = name, log
        with open(log, "w") as file:
            self.popen = subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env={**os.environ, **environment}, start_new_session=True,
            )

    def last(self, lines=8):
        with open(self.log, errors="replace") as file:
            return "".join(file.readlines()[-lines:]).strip()

    def fell(self):
        return self.popen.poll() is not None

    def end(self, within=30):
        """SIGTERM; its exit code. SIGKILL where it takes longer."""
        if not self.fell():
            self.popen.send_signal(signal.SIGTERM)
        try:
            return self.popen.wait(within)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            return self.popen.wait()


def wait_until(what, within, condition, processes=()):
    """The first true value of `condition`, looked at again and again for `within` seconds."""
    until = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        for process in processes:
            if process.fell():
                raise Problem(f"{process.name} ended with {process.popen.returncode}: {process.last()}")
        if time.monotonic() > until:
            said = "; ".join(f"{process.name}: {process.last(3)}" for process in processes)
            raise Problem(f"not within {within} s: {what}. {said}")
        time.sleep(0.1)


def run(command, **environment):
    """Its output; a Problem where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    if done.returncode != 0:
        raise Problem(f"{command[0]} … ended with {done.returncode}: {(done.stdout + done.stderr).strip()}")
    return done.stdout


def debian(package, program):
    """The path of `program`: on the path, or in that Debian package, unpacked into target/.

    Installing it would start a server.
    """
    found = shutil.which(program)
    home = f"{HOME}/{package}"
    if found or os.path.exists(f"{home}/usr/bin/{program}"):
        return found or f"{home}/usr/bin/{program}"
    if not shutil.which("apt-get"):
        raise Problem(f"{program} is missing; it is in {package} of Debian")
    say(f"getting {package}")
    folder = f"{HOME}/downloads/{package}"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    fetch = ["apt-get", "download", "-qq", package]
    if subprocess.run(fetch, cwd=folder, capture_output=True).returncode != 0:
        run(["apt-get", "update", "-qq"])
        done = subprocess.run(fetch, cwd=folder, capture_output=True, text=True)
        if done.returncode != 0:
            raise Problem(f"{package} cannot be had: {done.stderr.strip()}")
    (archive,) = os.listdir(folder)
    run(["dpkg", "-x", f"{folder}/{archive}", f"{home}.part"])
    os.rename(f"{home}.part", home)
    return f"{home}/usr/bin/{program}"
