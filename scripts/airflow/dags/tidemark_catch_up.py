"""All that Kafka holds, into MongoDB; and then a look whether it is there.

```
 topic_ends ──▶ catch_up ──▶ check
 Kafka: how     tidemark     MongoDB: as far as
 far is it?                  Kafka was, and rows?
```

It runs after each batch. It is for those who do not let the pipeline run all the
time: one run writes at a time, and where one does already, this one is refused and
says so. So it begins paused.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, task

from tidemark_airflow import RETRY, SHOP_EVENTS
from tidemark_airflow.commands import catch_up
from tidemark_airflow.program import Program

with DAG(
    "tidemark_catch_up",
    description="Brings MongoDB up to date with Kafka, and checks that it is",
    schedule=[SHOP_EVENTS],
    start_date=datetime(2024, 11, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,
    default_args=RETRY,
    tags=["tidemark"],
):

    # The client libraries are imported where they are used, so that the DAG can be
    # parsed, and fails by name, where one of them is missing.
    @task
    def topic_ends() -> dict[str, dict[str, tuple[int, int]]]:
        from tidemark_airflow.settings import kafka_properties, setting
        from tidemark_airflow.topics import extent

        return extent(kafka_properties(), setting("topic_prefix"))

    @task
    def check(ends: dict[str, dict[str, tuple[int, int]]]) -> dict[str, int]:
        from tidemark_airflow import result
        from tidemark_airflow.settings import mongodb_uri, setting

        return result.check(mongodb_uri(), setting("database"), ends)

    ends = topic_ends()
    # A topic may hold months: a day is for what hangs, not for what is long.
    caught_up = Program(task_id="catch_up", command=catch_up, execution_timeout=timedelta(days=1))
    ends >> caught_up >> check(ends)
