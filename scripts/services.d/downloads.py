"""Downloads: pinned versions, each file verified against a SHA-256 list."""

import hashlib
import os
import shutil
import subprocess
import sys

from nodes import Failure

HERE = os.path.dirname(os.path.abspath(__file__))


def need(program, package):
    """Have `program` on the path: install its Debian package where we may."""
    if shutil.which(program):
        return
    install(package)
    if not shutil.which(program):
        raise Failure(f"{program} is missing; install it (Debian: apt-get install {package})")


def install(package):
    """Install a Debian package where we may; the caller sees whether it helped."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"installing {package}")
        if call(["apt-get", "update", "-qq"]) == 0:
            call(["apt-get", "install", "-y", "-qq", package], DEBIAN_FRONTEND="noninteractive")


def call(command, **environment):
    """Run it with its output on our standard error; its exit code."""
    return subprocess.call(command, stdout=sys.stderr, env={**os.environ, **environment})


def say(text):
    print(f"services: {text}", file=sys.stderr, flush=True)


def sums(name):
    """The list `name` beside this file: {file name: SHA-256}, as sha256sum writes it."""
    with open(f"{HERE}/{name}") as file:
        pairs = [line.split() for line in file if line.strip()]
    return {path: digest for digest, path in pairs}


def verified(directory, expected):
    """What keeps `directory` from being exactly these files; empty if nothing."""
    wrong = []
    for name, digest in expected.items():
        path = f"{directory}/{name}"
        if not os.path.exists(path):
            wrong.append(f"{name} is missing")
        elif sha256(path) != digest:
            wrong.append(f"{name} has another checksum")
    extra = set(os.listdir(directory)) - set(expected) if os.path.isdir(directory) else set()
    return wrong + [f"{name} is not on the list" for name in sorted(extra)]


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def obtain(what, directory, expected, download):
    """Have `directory` hold exactly the expected files.

    `download` fills an empty directory, which takes the final name only once
    verified: an interrupted download leaves nothing that looks finished.
    """
    if not verified(directory, expected):
        return
    say(f"downloading {what}")
    partial = f"{directory}.partial"
    for leftover in (partial, directory):
        shutil.rmtree(leftover, ignore_errors=True)
    os.makedirs(partial)
    download(partial)
    wrong = verified(partial, expected)
    if wrong:
        raise Failure(f"{what}: what was downloaded is not what is expected:\n  " + "\n  ".join(wrong))
    os.rename(partial, directory)
