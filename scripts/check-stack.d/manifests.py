"""deploy/kubernetes: the API's schemas, and that its files agree with each other."""

import os
import shutil
import subprocess
import tomllib

import kubernetes_validate
import yaml

FOLDER = "deploy/kubernetes"
# The oldest one with the ordinal as a label of the pod for good, and the newest known.
VERSIONS = ["1.32", "1.37"]


def documents(text=None):
    """All objects: those of the files, or of what kustomize made of them."""
    if text is not None:
        return [found for found in yaml.safe_load_all(text) if found]
    found = []
    for name in kustomization()["resources"]:
        with open(f"{FOLDER}/{name}") as file:
            found += [document for document in yaml.safe_load_all(file) if document]
    return found


def kustomization():
    with open(f"{FOLDER}/kustomization.yaml") as file:
        return yaml.safe_load(file)


def one(kind, name=None):
    (found,) = [d for d in documents() if d["kind"] == kind and name in (None, d["metadata"]["name"])]
    return found


def schema():
    objects = documents()
    # Where kubectl is, what it makes of them is checked as well.
    if shutil.which("kubectl"):
        made = subprocess.run(["kubectl", "kustomize", FOLDER], capture_output=True, text=True)
        if made.returncode != 0:
            yield f"kubectl kustomize: {made.stderr.strip()}"
        else:
            objects += documents(made.stdout)
    for version in VERSIONS:
        for document in objects:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                where = ".".join(map(str, error.path))
                yield f"{document['kind']} {document['metadata']['name']}, {version}: {where}: {error.message}"


def consistency():
    files = {name for name in os.listdir(FOLDER) if name.endswith(".yaml")} - {"kustomization.yaml"}
    for name in sorted(files ^ set(kustomization()["resources"])):
        yield f"{name} is only in one of the folder and kustomization.yaml"

    run, config = one("StatefulSet"), one("ConfigMap")
    spec, pod = run["spec"], run["spec"]["template"]["spec"]
    labels = run["spec"]["template"]["metadata"]["labels"].items()
    for kind in ("StatefulSet", "NetworkPolicy", "PodDisruptionBudget", "Service"):
        for document in (d for d in documents() if d["kind"] == kind):
            chosen = document["spec"].get("selector") or document["spec"]["podSelector"]
            chosen = chosen.get("matchLabels", chosen)
            if not chosen.items() <= labels:
                yield f"{kind} {document['metadata']['name']} selects other pods"

    settings, peers = tomllib.loads(config["data"]["tidemark.toml"]), one("Service", spec["serviceName"])
    port = {p["name"]: p["containerPort"] for p in pod["containers"][0]["ports"]}
    namespace = kustomization()["namespace"]
    hosts = [
        f"{run['metadata']['name']}-{number}.{spec['serviceName']}.{namespace}.svc.cluster.local:{port['peers']}"
        for number in range(spec["replicas"])
    ]
    if config["data"]["hosts"].split() != hosts:
        yield f"the host file is not that of {spec['replicas']} pods: {hosts}"
    if settings["processes"] != spec["replicas"]:
        yield "as many processes are set as there are no replicas"
    if not settings["http"].endswith(f":{port['http']}"):
        yield "HTTP is served at another port than the container's"
    if not peers["spec"].get("publishNotReadyAddresses") or peers["spec"].get("clusterIP") != "None":
        yield "processes would not find each other before they are ready"
    if spec["podManagementPolicy"] != "Parallel" or spec["updateStrategy"]["type"] != "OnDelete":
        yield "pods would be started or replaced one by one"

    mounted = {m["mountPath"]: m["name"] for m in pod["containers"][0]["volumeMounts"]}
    sources = {v["name"]: v for v in pod["volumes"]}
    for setting in ("hostfile", "mongodb_uri_file", "checkpoint"):
        folder = next((m for m in mounted if settings[setting].startswith(m)), None)
        if folder is None or mounted[folder] not in sources:
            yield f"{setting} lies in no volume: {settings[setting]}"
    if sources["checkpoints"]["persistentVolumeClaim"]["claimName"] != one("PersistentVolumeClaim")["metadata"]["name"]:
        yield "the claim of checkpoints has another name"
    if sources["config"]["configMap"]["name"] != config["metadata"]["name"]:
        yield "the configuration has another name"
