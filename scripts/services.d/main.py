"""scripts/services: a real two-broker Kafka and a real MongoDB replica set.

Everything runs natively, from the package registries, on ports of 127.0.0.1.
A container engine is neither needed nor used: tests stop single nodes in many
ways (kill, pause, restart), and one way of running them is one thing to trust.
"""

import argparse
import fcntl
import os
import shutil
import sys
import time

import kafka
import mongodb
from nodes import Failure, State

HELP = """commands:
  start             start everything, wait until it really answers, write the
                    addresses to DIR/env; does nothing to what already runs
  stop              end everything; data stays for the next start
  status            one line a node; exit 0 if all run, 3 otherwise
  reset             stop, and delete data, logs and ports; keeps the downloads
  fetch             only download and verify
  addresses         download, choose ports, write DIR/env; start nothing

  start NAME…       start these nodes, for example kafka-2, mongodb-1
  stop NAME…        end them orderly
  kill NAME…        end them at once (SIGKILL)
  restart NAME…     stop, then start
  pause NAME…       freeze them (SIGSTOP): alive, but silent
  resume NAME…      thaw them

environment:
  TIDEMARK_SERVICES_DIR   where data, logs and DIR/env live (target/services);
                          another directory is another, private cluster
  TIDEMARK_CACHE          where downloads are kept (target/services/cache)
  TIDEMARK_MONGODB_NODES  members of the replica set (1)
  TIDEMARK_MONGODB_CACHE  what each may keep in memory, in GB (0.25: enough for tests,
                          far too little to measure by)
  TIDEMARK_MONGOD         a mongod to use instead of the downloaded one
  TIDEMARK_PROXIED=1      clients are told to come to other ports, where proxies
                          of a test's own have to listen that bring them to the
                          nodes; DIR/env has TIDEMARK_PROXIES=NODE:PORT:TO,…

needs Linux; Java 17 or newer, Maven and pip, which are installed by apt-get
where this runs as root and they are missing.
"""

COMMANDS = ["start", "stop", "status", "reset", "fetch", "addresses", "kill", "restart", "pause", "resume"]
NEED_NAMES = ["kill", "restart", "pause", "resume"]


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/services",
        description="A real Kafka (two brokers) and a real MongoDB replica set for tests and trials.",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    if arguments.command in NEED_NAMES and not arguments.names:
        parser.error(f"{arguments.command} needs the name of a node")

    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    home = os.path.abspath(os.environ.get("TIDEMARK_SERVICES_DIR") or f"{root}/target/services")
    cache = os.path.abspath(os.environ.get("TIDEMARK_CACHE") or f"{root}/target/services/cache")
    os.makedirs(home, exist_ok=True)

    # One command at a time, so that two impatient callers start one cluster.
    with open(f"{home}/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return run(arguments, parser, home, cache)


def run(arguments, parser, home, cache):
    if arguments.command == "fetch":
        kafka.fetch(cache)
        mongodb.fetch(cache)
        return 0
    if arguments.command == "reset":
        services = [kafka.Kafka(State(home), cache), mongodb.MongoDb(State(home), cache)]
        stop([node for service in services for node in service.nodes])
        delete(home, cache)
        return 0

    state = State(home)
    services = [kafka.Kafka(state, cache), mongodb.MongoDb(state, cache)]
    nodes = {node.name: node for service in services for node in service.nodes}
    for name in arguments.names:
        if name not in nodes:
            parser.error(f"no node {name}; there are {', '.join(nodes)}")
    chosen = [nodes[name] for name in arguments.names] or list(nodes.values())

    if arguments.command == "status":
        return status(chosen)
    if arguments.command == "addresses":
        prepare(services, chosen)
        write_environment(services, state)
    if arguments.command in ("stop", "restart"):
        stop(chosen)
    if arguments.command in ("start", "restart"):
        start(services, chosen, state)
    if arguments.command == "kill":
        for node in chosen:
            node.kill()
            print(f"{node.name}: killed")
    if arguments.command == "pause":
        for node in chosen:
            node.pause()
            print(f"{node.name}: paused")
    if arguments.command == "resume":
        for node in chosen:
            node.resume()
            print(f"{node.name}: resumed")
    return 0


def start(services, chosen, state):
    began = time.monotonic()
    prepare(services, chosen)
    started = [node for node in chosen if node.spawn()]
    for service in services:
        service.wait([node for node in chosen if node in service.nodes])

    write_environment(services, state)
    for node in chosen:
        how = "started" if node in started else "was running"
        print(f"{node.name}: {how}, pid {node.pid()}, port {node.port}")
    print(f"ready after {time.monotonic() - began:.1f} s; addresses in {state.home}/env")


def prepare(services, chosen):
    for service in services:
        service.prepare([node for node in chosen if node in service.nodes])


def write_environment(services, state):
    lines = [line for service in services for line in service.environment()]
    proxies = [f"{node.name}:{node.proxy}:{to}" for service in services for node, to in service.proxied()]
    if proxies:
        lines.append("TIDEMARK_PROXIES=" + ",".join(proxies))
    with open(f"{state.home}/env.new", "w") as file:
        file.write("".join(f"{line}\n" for line in lines))
    os.replace(f"{state.home}/env.new", f"{state.home}/env")


def stop(nodes):
    """In reverse: a broker says goodbye to its controller, which is node 1."""
    for node in reversed(nodes):
        if node.pid():
            node.terminate()
            node.end()
            print(f"{node.name}: stopped")


def status(nodes):
    well = True
    for node in nodes:
        said = node.status()
        well = well and said == "running"
        print(f"{node.name}: {said}, port {node.port}" + (f", pid {node.pid()}" if node.pid() else ""))
    return 0 if well else 3


def delete(home, cache):
    """Everything under `home` but the downloads and the lock that is held."""
    for entry in os.listdir(home):
        path = f"{home}/{entry}"
        if entry == "lock" or os.path.commonpath([cache, path]) == path:
            continue
        shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        print(f"services: {failure}", file=sys.stderr)
        sys.exit(1)
