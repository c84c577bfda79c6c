"""What both DAGs share.

```
 settings ──▶ program    runs generator or tidemark as a task
         ├──▶ topics     how far the topics reach, asked of Kafka
         └──▶ result     how far the database is, asked of MongoDB
```
"""

from datetime import timedelta

from airflow.sdk import Asset

# What a batch renews, and what a catch-up waits for.
SHOP_EVENTS = Asset("tidemark_shop_events")

# Of every task: a broker or a database that is away for a moment is back by then.
RETRY: dict[str, object] = {"retries": 1, "retry_delay": timedelta(minutes=5)}
