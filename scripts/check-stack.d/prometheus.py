"""deploy/prometheus: what promtool says of the configuration, the rules and their tests."""

import os
import subprocess

import dashboards
from tools import HOME, debian

FOLDER = "deploy/prometheus"


def promtool():
    tool = debian("prometheus", "promtool")
    # It looks for the token, which is there only where the stack runs.
    os.makedirs(HOME, exist_ok=True)
    with open(f"{FOLDER}/prometheus.yml") as file:
        text = file.read().replace("/run/secrets/tidemark-token", "/dev/null")
    with open(f"{HOME}/prometheus.yml", "w") as file:
        file.write(text.replace("alerts.yml", os.path.abspath(f"{FOLDER}/alerts.yml")))
    for what in (["check", "config", f"{HOME}/prometheus.yml"], ["test", "rules", f"{FOLDER}/tests.yml"]):
        done = subprocess.run([tool, *what], capture_output=True, text=True)
        if done.returncode != 0:
            yield f"promtool {' '.join(what)}: {(done.stdout + done.stderr).strip()}"
    with open(f"{FOLDER}/tests.yml") as file:
        tests = file.read()
    for name, _ in dashboards.alerts():
        if f'"{name}"' not in tests:
            yield f"no test shows {name} firing"
