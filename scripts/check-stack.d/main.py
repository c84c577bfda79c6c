"""The checks of the stack, one after another; the exit code says whether all passed.

    files   compose_file  image  manifests  dashboards  prometheus      what is written
    run     native                                               what it does

A check is a function that gives back the faults it finds, a sentence each.
"""

import argparse
import os
import sys
import traceback

import compose_file
import dashboards
import image
import manifests
import native
import prometheus
from tools import Problem

FILES = [
    ("compose.yaml: the specification's schema", compose_file.schema),
    ("compose.yaml: whatever is referred to is there", compose_file.references),
    ("compose.yaml: pinned, bounded, locked, local", compose_file.rules),
    ("secrets: .env.example names them, git ignores .env", compose_file.environment),
    ("Dockerfile: what is copied is a workspace", image.sources),
    ("manifests: Kubernetes' API schemas", manifests.schema),
    ("manifests: they fit together", manifests.consistency),
    ("dashboards: sound, and of known metrics", dashboards.check),
    ("Prometheus: configuration, rules and their tests", prometheus.promtool),
]


def main():
    parser = argparse.ArgumentParser(prog="scripts/check-stack", description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", choices=["files", "run"], help="only these")
    parser.add_argument("--programs", default="target/debug", help="where tidemark and generator are")
    arguments = parser.parse_args()
    checks = [] if arguments.what == "run" else FILES
    if arguments.what != "files":
        checks = [*checks, *native.checks(os.path.abspath(arguments.programs))]

    failed = 0
    for name, check in checks:
        faults = run(check)
        failed += bool(faults)
        print(f"{'FAILED' if faults else 'ok':6} {name}", flush=True)
        for fault in faults:
            print(f"       {fault}", flush=True)
    native.stop()
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


def run(check):
    """Its faults. What keeps it from looking is one too."""
    try:
        return list(check())
    except Problem as problem:
        return [str(problem)]
    except Exception:
        return traceback.format_exc().splitlines()


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        native.stop()
