"""A day's batch of made-up events of a shop, into Kafka.

It has the id, the task and the schedule of the DAG that it replaces, so that its
history and whatever links to it go on.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from tidemark_airflow import RETRY, SHOP_EVENTS
from tidemark_airflow.commands import batch
from tidemark_airflow.program import Program

with DAG(
    "pipeline_real_time_data_streaming",
    description="Sends a batch of made-up events to Kafka",
    schedule="@daily",
    start_date=datetime(2024, 11, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    default_args=RETRY,
    tags=["tidemark"],
):
    Program(
        task_id="stream_data",
        command=batch,
        outlets=[SHOP_EVENTS],
        # It takes a second, and gives up by itself after five without a broker.
        execution_timeout=timedelta(minutes=5),
    )
