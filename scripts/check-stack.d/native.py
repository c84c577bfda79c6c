"""The stack at work, without containers: first as compose.yaml has it, then as the manifests do.

Kafka UI, Grafana and Airflow are not to be had here as programs: of Grafana the queries
are asked of the real Prometheus, Airflow has a test of its own, and of Kafka UI nothing
is run.
"""

import json
import os
import re
import subprocess

import dashboards
import manifests
from stand_in import FOLDER, StandIn
from tools import Problem, data, debian, get, ports, wait_until

stand_in = None
TIDEMARK = ["tidemark-0", "tidemark-1"]


def checks(programs):
    return [
        ("run: secrets, Kafka and MongoDB come up as in compose.yaml", lambda: services(programs)),
        ("run: the generator, and both processes get ready", pipeline),
        ("run: both serve the same rows", rows),
        ("run: each metric that is named exists", metrics),
        ("run: Prometheus takes its files; every panel shows something", prometheus),
        ("run: stopped, both end in good order", ending),
        ("run: three processes, as the manifests set them", kubernetes),
    ]


def stop():
    if stand_in:
        stand_in.stop()


def services(programs):
    global stand_in
    stand_in = StandIn(programs)
    stand_in.secrets()
    stand_in.kafka()
    stand_in.mongodb()
    stand_in.mongodb_init()
    return []


def pipeline():
    stand_in.generator()
    for name in TIDEMARK:
        stand_in.tidemark(name)
    running = stand_in.running("generator", *TIDEMARK)
    for name in TIDEMARK:
        # The health check's own address, which wget asks there.
        wait_until(f"{name} is ready", 60, lambda name=name: get(url(name, "/readyz"))[0] == 200, running)
    return []


def url(name, path):
    return f"http://{stand_in.at[f'{name}:8080']}{path}"


def rows():
    for name in TIDEMARK:
        def there(name=name):
            status, text = get(url(name, "/api/views/log_analysis"), token=stand_in.token(), limit=1)
            return status == 200 and json.loads(text).get("rows")

        wait_until(f"{name} has rows", 60, there, stand_in.running(*TIDEMARK))
        if get(url(name, "/api/views/log_analysis"))[0] != 401:
            yield f"{name} serves rows also to those without the token"


def metrics():
    # The last one to appear is that of the first checkpoint.
    def scraped():
        text = "".join(get(url(name, "/metrics"), token=stand_in.token())[1] for name in TIDEMARK)
        return "tidemark_checkpoint_timestamp_seconds" in text and text

    text = wait_until("a checkpoint", 60, scraped, stand_in.running(*TIDEMARK))
    names = set(re.findall(r"^(?:# TYPE )?([a-z_]+)", text, re.MULTILINE))
    for metric, where in dashboards.metrics().items():
        if metric not in names:
            yield f"{where} speaks of {metric}, which there is not"
    tool = debian("prometheus", "promtool")
    for name in TIDEMARK:
        told = get(url(name, "/metrics"), token=stand_in.token())[1]
        done = subprocess.run([tool, "check", "metrics"], input=told, capture_output=True, text=True)
        if done.returncode != 0:
            yield f"promtool check metrics: {(done.stdout + done.stderr).strip()}"


def prometheus():
    stand_in.prometheus(debian("prometheus", "prometheus"))
    running = stand_in.running("prometheus")
    api = f"http://{stand_in.at['prometheus:9090']}/api/v1"
    wait_until("Prometheus is ready", 60, lambda: get(f"{api}/status/config")[0] == 200, running)

    # A rate needs two scrapes.
    empty = dict.fromkeys(dashboards.queries())

    def shown():
        for question in list(empty):
            if data(f"{api}/query", query=question[1])["result"]:
                del empty[question]
        return not empty

    try:
        wait_until("every panel shows something", 60, shown, running)
    except Problem as problem:
        yield str(problem)
    for where, query in empty:
        yield f"{where} shows nothing: {query}"

    def rules():
        return [rule for group in data(f"{api}/rules")["groups"] for rule in group["rules"]]

    wait_until("all rules are evaluated", 60, lambda: all(r["health"] != "unknown" for r in rules()), running)
    if len(rules()) != len(dashboards.alerts()):
        yield f"it has {len(rules())} rules of {len(dashboards.alerts())}"
    for rule in rules():
        if rule["health"] != "ok" or rule["state"] == "firing":
            yield f"alert {rule['name']} is {rule['health']} and {rule['state']}: {rule.get('lastError', '')}"
    for target in data(f"{api}/targets")["activeTargets"]:
        if target["labels"]["job"] == "tidemark" and target["health"] != "up":
            yield f"{target['scrapeUrl']}: {target['lastError']}"


def ending():
    stand_in.end("prometheus")
    for name, code in zip(TIDEMARK, stand_in.end(*TIDEMARK)):
        if code != 0:
            yield f"{name} ended with {code}"


def kubernetes():
    """With the ConfigMap's files and the StatefulSet's environment and probes, a pod each."""
    run, config = manifests.one("StatefulSet"), manifests.one("ConfigMap")
    container = run["spec"]["template"]["spec"]["containers"][0]
    count = run["spec"]["replicas"]
    peers, http = ports(count), ports(count)
    settings = config["data"]["tidemark.toml"]
    brokers = ",".join(stand_in.at[f"kafka-{number}:9092"] for number in (1, 2))
    settings = re.sub(r'^brokers = ".*"$', f'brokers = "{brokers}"', settings, flags=re.MULTILINE)
    folder = f"{FOLDER}/kubernetes"
    os.makedirs(f"{folder}/checkpoints")
    for there, here in {
        "/run/secrets/tidemark/uri": f"{FOLDER}/secrets-tidemark/mongodb-uri",
        "/run/secrets/tidemark/token": f"{FOLDER}/secrets-tidemark/http-token",
        "/etc/tidemark/hosts": f"{folder}/hosts",
        '"/var/lib/tidemark"': f'"{folder}/checkpoints"',
    }.items():
        settings = settings.replace(there, here)
    for name, text in {"tidemark.toml": settings, "hosts": "".join(f"127.0.0.1:{port}\n" for port in peers)}.items():
        with open(f"{folder}/{name}", "w") as file:
            file.write(text)

    names = [f"pod-{number}" for number in range(count)]
    (number_from,) = [variable["name"] for variable in container["env"]]
    for number, name in enumerate(names):
        arguments = [word.replace("/etc/tidemark", folder) for word in container["args"]]
        # They share a machine here, and cannot share its port.
        own = f"--http=127.0.0.1:{http[number]}"
        stand_in.stack["services"][name] = {}
        stand_in.start(name, [f"{stand_in.programs}/tidemark", *arguments, own], **{number_from: str(number)})
    running = stand_in.running(*names)
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        path = container[kind]["httpGet"]["path"]
        for port in http:
            wait_until(f"the {kind} of {port} passes", 60, lambda port=port: get(f"http://127.0.0.1:{port}{path}")[0] == 200, running)
    for name, code in zip(names, stand_in.end(*names)):
        if code != 0:
            yield f"{name} ended with {code}"
