"""How far the topics reach, asked of Kafka itself.

That is asked before the pipeline runs: producers do not wait, and what they send
later is for the next run.
"""

from airflow.sdk.exceptions import AirflowException
from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

TOPICS = ["customers", "products", "transactions", "product_views", "user_interactions", "system_logs"]
SECONDS = 10

# By topic and partition: the first offset that is there, and the one after the last.
# Partitions are texts, since JSON, in which it travels between tasks, has no other keys.
Extent = dict[str, dict[str, tuple[int, int]]]


def extent(properties: dict[str, str], prefix: str) -> Extent:
    """What there is of each topic. Fails where Kafka does not answer, and where it has none of them."""
    said: list[str] = []

    def note(error: KafkaError) -> None:
        said.append(error.str())

    # The library's answer to a broker that is away is that it is away; why, it
    # tells through this callback alone.
    client = AdminClient({**properties, "error_cb": note})
    try:
        return ask(client, properties["bootstrap.servers"], prefix)
    except KafkaException as error:
        client.poll(0)
        reasons = "; ".join(dict.fromkeys([error.args[0].str(), *said]))
        brokers = properties["bootstrap.servers"]
        raise AirflowException(f"Kafka at {brokers} did not answer within {SECONDS} s: {reasons}") from None


def ask(client: AdminClient, brokers: str, prefix: str) -> Extent:
    # All topics, and not these by name: a broker may create a topic that is asked for.
    there = client.list_topics(timeout=SECONDS).topics
    names = [prefix + topic for topic in TOPICS if prefix + topic in there]
    if not names:
        raise AirflowException(
            f"Kafka at {brokers} has none of the topics {', '.join(prefix + topic for topic in TOPICS)}: "
            "nothing was sent yet, or tidemark_topic_prefix is another one"
        )
    partitions = [TopicPartition(name, number) for name in names for number in there[name].partitions]
    first = offsets(client, partitions, OffsetSpec.earliest())
    end = offsets(client, partitions, OffsetSpec.latest())
    found: Extent = {name: {} for name in names}
    for partition in partitions:
        at = (partition.topic, partition.partition)
        found[partition.topic][str(partition.partition)] = (first[at], end[at])
    return found


def offsets(client: AdminClient, partitions: list[TopicPartition], which: OffsetSpec) -> dict[tuple[str, int], int]:
    # Committed only: the pipeline does not read what a transaction may still take back.
    answers = client.list_offsets(
        {partition: which for partition in partitions},
        isolation_level=IsolationLevel.READ_COMMITTED,
        request_timeout=SECONDS,
    )
    return {(asked.topic, asked.partition): answer.result().offset for asked, answer in answers.items()}
