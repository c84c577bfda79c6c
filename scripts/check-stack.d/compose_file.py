"""compose.yaml: what the specification asks for, and what we do beyond it."""

import json
import os
import re
import subprocess

import jsonschema
import yaml

FILE = "compose.yaml"
SCHEMA = f"{os.path.dirname(os.path.abspath(__file__))}/compose-spec/compose-spec.json"

# A tag that names one release, and no series of them.
PINNED = re.compile(r":v?\d+\.\d+\.\d+(-[\w.]+)?$")
ONE_SHOT = {"secrets", "mongodb-init"}
# No port of their own that would say more than that the process lives.
WITHOUT_HEALTH_CHECK = ONE_SHOT | {"generator", "kafka-controller"}
# The one takes secrets from the environment, which no read-only container can; the other
# is an image that writes where it was installed.
WRITABLE = {"secrets", "airflow"}


def load():
    with open(FILE) as file:
        return yaml.safe_load(file)


def schema():
    with open(SCHEMA) as file:
        rules = json.load(file)
    for error in jsonschema.Draft202012Validator(rules).iter_errors(load()):
        yield f"{'.'.join(map(str, error.absolute_path))}: {error.message}"


def references():
    stack = load()
    for name, service in stack["services"].items():
        for network in service.get("networks", []):
            if network not in stack["networks"]:
                yield f"{name}: there is no network {network}"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                if not os.path.exists(source):
                    yield f"{name}: there is no {source}"
            elif source not in stack["volumes"]:
                yield f"{name}: there is no volume {source}"
        for kind in ("secrets", "configs"):
            for used in service.get(kind, []):
                source = used if isinstance(used, str) else used["source"]
                if source not in stack[kind]:
                    yield f"{name}: there is no {source} among {kind}"
        for other, how in service.get("depends_on", {}).items():
            if other not in stack["services"]:
                yield f"{name}: there is no service {other}"
            elif how["condition"] == "service_healthy" and "healthcheck" not in stack["services"][other]:
                yield f"{name}: waits for {other} to be healthy, which has no health check"
    for name, config in stack["configs"].items():
        if not os.path.exists(config["file"]):
            yield f"config {name}: there is no {config['file']}"
    used = {v.split(":")[0] for s in stack["services"].values() for v in s.get("volumes", [])}
    for volume in set(stack["volumes"]) - used:
        yield f"volume {volume} is used by nobody"


def rules():
    for name, service in load()["services"].items():
        for fault in of_service(name, service):
            yield f"{name}: {fault}"


def of_service(name, service):
    if not PINNED.search(service["image"]):
        yield f"{service['image']} is not a full version"
    for port in service.get("ports", []):
        if not str(port).startswith("127.0.0.1:"):
            yield f"port {port} is published to more than this machine"
    limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
    for limit in {"cpus", "memory", "pids"} - set(limits):
        yield f"no limit of {limit}"
    if service.get("cap_drop") != ["ALL"]:
        yield "keeps capabilities"
    if "no-new-privileges:true" not in service.get("security_opt", []):
        yield "may gain privileges"
    if "max-size" not in service.get("logging", {}).get("options", {}):
        yield "its log grows without end"
    read_only = service.get("read_only", False)
    if not read_only and name not in WRITABLE:
        yield "its file system is not read-only"
    if read_only and service.get("secrets"):
        yield "Compose gives secrets from the environment to no read-only container"
    if name not in WITHOUT_HEALTH_CHECK and "healthcheck" not in service:
        yield "no health check"
    if name not in ONE_SHOT and service.get("restart", "no") == "no":
        yield "is not started again when it fails"
    for variable in service.get("environment", {}):
        if re.search(r"PASSWORD|SECRET|TOKEN|_KEY\b|_URI\b", variable) and not re.search("_FILE$|SECRETS$", variable):
            yield f"{variable} looks like a secret in the environment"


def environment():
    wanted = {secret["environment"] for secret in load()["secrets"].values()}
    with open(".env.example") as file:
        named = {line.split("=")[0] for line in file if re.match(r"[A-Z_]+=", line)}
    for variable in sorted(wanted ^ named):
        yield f"{variable} is only in one of compose.yaml and .env.example"
    if subprocess.run(["git", "check-ignore", "-q", ".env"]).returncode != 0:
        yield ".env is not ignored by git"
    if os.path.exists(".env") and subprocess.run(["git", "ls-files", "--error-unmatch", ".env"], capture_output=True).returncode == 0:
        yield ".env is in git"
