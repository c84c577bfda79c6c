"""Grafana's dashboards, and which metrics they and the alerts speak of."""

import glob
import json
import re

import yaml

FOLDER = "deploy/grafana/dashboards"
SOURCES = "deploy/grafana/provisioning/datasources/prometheus.yaml"
ALERTS = "deploy/prometheus/alerts.yml"
METRIC = re.compile(r"\b(?:tidemark|process)_[a-z_]+")
# What Grafana puts in their place.
VARIABLES = {"$__rate_interval": "30s", "$__range": "30m", "$view": ".*", "$topic": ".*"}


def load():
    """{file: dashboard}"""
    found = {}
    for path in sorted(glob.glob(f"{FOLDER}/*.json")):
        with open(path) as file:
            found[path] = json.load(file)
    return found


def queries():
    """(where, PromQL) of each panel's targets, as Prometheus gets them."""
    for path, dashboard in load().items():
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                yield f"{path}: {panel['title']}", filled(target["expr"])


def filled(query):
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    return query


def alerts():
    """(name, PromQL) of each alert."""
    with open(ALERTS) as file:
        groups = yaml.safe_load(file)["groups"]
    return [(rule["alert"], rule) for group in groups for rule in group["rules"]]


def metrics():
    """{metric: where it is spoken of}, also in what alerts tell to do."""
    found = {}
    texts = [*queries(), *((f"alert {name}", json.dumps(rule)) for name, rule in alerts())]
    for where, text in texts:
        for metric in METRIC.findall(text):
            found.setdefault(metric, where)
    return found


def check():
    with open(SOURCES) as file:
        known = {source["uid"] for source in yaml.safe_load(file)["datasources"]} | {"-- Grafana --"}
    uids = [dashboard["uid"] for dashboard in load().values()]
    if len(uids) < 2 or len(set(uids)) != len(uids):
        yield "the dashboards' uids are not each their own"
    for path, dashboard in load().items():
        for fault in of_dashboard(dashboard, known):
            yield f"{path}: {fault}"
    for name, rule in alerts():
        if not {"summary", "description"} <= set(rule["annotations"]) or "severity" not in rule["labels"]:
            yield f"alert {name} does not say what is the matter and what to do"


def of_dashboard(dashboard, known):
    ids = [panel["id"] for panel in dashboard["panels"]]
    if len(set(ids)) != len(ids):
        yield "two panels have one id"
    for uid in re.findall(r'"type": "(?:prometheus|grafana)", "uid": "([^"]+)"', json.dumps(dashboard)):
        if uid not in known:
            yield f"there is no data source {uid}"
    taken = {}
    for panel in dashboard["panels"]:
        title, at = panel["title"], panel["gridPos"]
        if panel["type"] != "row" and not (panel["description"] and panel["targets"]):
            yield f"{title} shows nothing, or does not say what"
        if at["x"] + at["w"] > 24:
            yield f"{title} is wider than the page"
        for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            if taken.setdefault(cell, title) != title:
                yield f"{title} lies on {taken[cell]}"
                break
        for target in panel.get("targets", []):
            left = [name for name in re.findall(r"\$\w+", filled(target["expr"]))]
            if left:
                yield f"{title} uses {left[0]}, which nothing fills"
