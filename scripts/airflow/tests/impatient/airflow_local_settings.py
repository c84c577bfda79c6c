"""A policy that Airflow applies to every task where this folder is on its path.

The DAGs wait five minutes before the second try, and the test looks that they do.
Then it lets Airflow wait a second, so that it sees the second try too.
"""

from datetime import timedelta

from airflow.sdk import BaseOperator


def task_policy(task: BaseOperator) -> None:
    task.retry_delay = timedelta(seconds=1)
