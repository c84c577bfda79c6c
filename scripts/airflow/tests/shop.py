"""A shop of a test's own: topics with a prefix, and a database; and what is in them."""

import json
import subprocess
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from pymongo import MongoClient
from surroundings import BROKERS, MONGODB_URI, PROGRAMS, secret_file, unique

SECONDS = 30


class Shop:
    def __init__(self) -> None:
        self.prefix = unique("airflow") + "."
        self.database = unique("airflow")
        self.uri_file: Path = secret_file(MONGODB_URI)
        self.admin = AdminClient({"bootstrap.servers": BROKERS})

    def settings(self) -> dict[str, str]:
        return {
            "TIDEMARK_BROKERS": BROKERS,
            "TIDEMARK_TOPIC_PREFIX": self.prefix,
            "TIDEMARK_DATABASE": self.database,
            "TIDEMARK_MONGODB_URI_FILE": str(self.uri_file),
        }

    def send(self) -> None:
        """A few events more, past Airflow."""
        command = [PROGRAMS / "generator", "--brokers", BROKERS, "--topic-prefix", self.prefix]
        subprocess.run([*command, "--count", "10", "--quiet"], check=True, capture_output=True, timeout=SECONDS)

    def topics(self) -> list[str]:
        return [name for name in self.admin.list_topics(timeout=SECONDS).topics if name.startswith(self.prefix)]

    def messages(self) -> dict[str, list[dict[str, Any]]]:
        """Every message that Kafka holds, by topic without its prefix."""
        reader = Consumer({"bootstrap.servers": BROKERS, "group.id": self.prefix, "enable.auto.commit": False})
        left: dict[tuple[str, int], int] = {}
        found: dict[str, list[dict[str, Any]]] = {}
        try:
            for name, topic in self.admin.list_topics(timeout=SECONDS).topics.items():
                if name.startswith(self.prefix):
                    found[name.removeprefix(self.prefix)] = []
                    for number in topic.partitions:
                        first, end = reader.get_watermark_offsets(TopicPartition(name, number), timeout=SECONDS)
                        if end > first:
                            left[name, number] = end - first
            reader.assign([TopicPartition(name, number, 0) for name, number in left])
            while any(left.values()):
                message = reader.poll(SECONDS)
                if message is None:
                    raise AssertionError(f"Kafka still owes {left}")
                if message.error():
                    raise KafkaException(message.error())
                left[message.topic(), message.partition()] -= 1
                found[message.topic().removeprefix(self.prefix)].append(json.loads(message.value()))
        finally:
            reader.close()
        return found

    def sum(self, view: str, column: str) -> int:
        """The sum of a column over all rows of a view."""
        with MongoClient(MONGODB_URI) as client:
            return sum(row[column] for row in client[self.database][view].find())

    def count(self, collection: str) -> int:
        with MongoClient(MONGODB_URI) as client:
            return client[self.database][collection].count_documents({})

    def close(self) -> None:
        """Nothing of it stays."""
        self.uri_file.unlink()
        with MongoClient(MONGODB_URI) as client:
            client.drop_database(self.database)
        topics = self.topics()
        if topics:
            for deleted in self.admin.delete_topics(topics).values():
                deleted.result(SECONDS)
