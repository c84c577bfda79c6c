"""How far the database is, asked of MongoDB itself.

The program's exit code 0 already says that it caught up. This does not take its
word: the document in `progress` must have reached what Kafka said before the run,
and where there were events, there must be rows (or dead letters) now.
"""

import logging
from typing import Any

from airflow.sdk.exceptions import AirflowException
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import PyMongoError

from tidemark_airflow.topics import Extent

MILLISECONDS = 10_000

log = logging.getLogger(__name__)


def check(uri: str, database: str, extent: Extent) -> dict[str, int]:
    """Documents by collection. Fails with what is missing, or why MongoDB does not answer."""
    try:
        with MongoClient(uri, serverSelectionTimeoutMS=MILLISECONDS, appname="tidemark-airflow") as client:
            found = look(client[database], extent)
    except PyMongoError as error:
        raise AirflowException(f"MongoDB could not be asked: {error}") from None
    log.info("database %s: %s", database, ", ".join(f"{name} {count}" for name, count in found.items()))
    return found


def look(database: Database[dict[str, Any]], extent: Extent) -> dict[str, int]:
    progress = database["progress"].find_one({"_id": "tidemark"})
    if progress is None:
        raise AirflowException(f"database {database.name} has no document of progress: nothing was ever written to it")
    missing = behind(progress.get("offsets", {}), extent)
    if missing:
        raise AirflowException(f"database {database.name} is behind Kafka: " + "; ".join(missing))

    # Documents of the former job, which may lie beside ours, have no epoch.
    ours = {"epoch": {"$exists": True}}
    found = {view: database[view].count_documents(ours) for view in sorted(progress.get("views", {}))}
    found["dead_letters"] = database["dead_letters"].count_documents({})
    events = sum(end - first for partitions in extent.values() for first, end in partitions.values())
    if events > 0 and not any(found.values()):
        raise AirflowException(f"Kafka has {events} events, and database {database.name} no row and no dead letter")
    return found


def behind(offsets: dict[str, dict[str, int]], extent: Extent) -> list[str]:
    """The partitions of which something is missing, each as a sentence."""
    missing = []
    for topic, partitions in extent.items():
        for partition, (first, end) in partitions.items():
            # A partition that never had a message may be absent.
            reached = offsets.get(topic, {}).get(partition, 0)
            if end > first and reached < end:
                missing.append(f"{topic} partition {partition} is at {reached} of {end}")
    return missing
