"""deploy/prometheus: what promtool says of the configuration, the rules and their tests."""

import subprocess

import dashboards
from tools import debian

FOLDER = "deploy/prometheus"


def promtool():
    tool = debian("prometheus", "promtool")
    for what in (["check", "config", f"{FOLDER}/prometheus.yml"], ["test", "rules", f"{FOLDER}/tests.yml"]):
        done = subprocess.run([tool, *what], capture_output=True, text=True)
        if done.returncode != 0:
            yield f"promtool {' '.join(what)}: {(done.stdout + done.stderr).strip()}"
    with open(f"{FOLDER}/tests.yml") as file:
        tests = file.read()
    for name, _ in dashboards.alerts():
        if f'"{name}"' not in tests:
            yield f"no test shows {name} firing"
