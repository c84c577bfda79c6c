"""The four aggregates of the shop in Pathway: Kafka in, MongoDB out."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from functools import lru_cache
from tempfile import TemporaryDirectory

import pathway as pw
from pymongo import MongoClient, ReplaceOne

CAUGHT_UP = os.environ.get("BENCH_UNTIL", "stopped") == "caught-up"
LATENCY = os.environ.get("BENCH_TUNED", "throughput") == "latency"
PREFIX = os.environ.get("BENCH_PREFIX", "")
# What a restart of the job would go on from (see the end); removed when it ends.
STATE = TemporaryDirectory(prefix="pathway-")

# How often what was read becomes a minibatch, which runs to the end, writes included.
COMMIT_MS = 10 if LATENCY else 1500
# Messages of a topic read but not worked off: else a backlog is all taken into memory.
BACKLOG = 50_000

HOUR, DAY = 3_600_000, 86_400_000


class Customer(pw.Schema):
    customer_id: str
    gender: str
    last_login: str


class Product(pw.Schema):
    category: str
    price: float
    stock_quantity: int


class Transaction(pw.Schema):
    customer_id: str
    product_id: str
    quantity: int


class ProductView(pw.Schema):
    product_id: str
    timestamp: str
    view_duration: int


def read(topic, schema, with_metadata=False):
    return pw.io.kafka.read(
        {
            "bootstrap.servers": os.environ["TIDEMARK_BROKERS"],
            # A run of its own reads from the start; a restart with its state goes on.
            "group.id": f"pathway-{topic}-{os.path.basename(STATE.name)}",
            "auto.offset.reset": "earliest",
        },
        topic=PREFIX + topic,
        schema=schema,
        format="json",
        # static: up to the end offsets found at the start.
        mode="static" if CAUGHT_UP else "streaming",
        autocommit_duration_ms=COMMIT_MS,
        max_backlog_size=BACKLOG,
        with_metadata=with_metadata,
        name=topic,
    )


def window(ms, size):
    return ms // size * size


def event_ms(time):
    # %.f: a fraction of any length, or none.
    return pw.cast(int, time.dt.strptime("%Y-%m-%dT%H:%M:%S%.f").dt.timestamp(unit="ms"))


def message_ms():
    return pw.this._metadata["timestamp_millis"].as_int(unwrap=True)


@lru_cache(1024)
def date(ms):
    return datetime.fromtimestamp(ms / 1000, timezone.utc)


POOL = ThreadPoolExecutor(2)


class Sink:
    """Upserts whole documents, all of a minibatch at once.

    pw.io.mongodb.write(output_table_type="snapshot") would do this inside the
    engine, but it needs MongoDB 8.0 (client bulk write).
    """

    def __init__(self, collection, size, document):
        uri = os.environ["TIDEMARK_MONGODB_URI"]
        database = MongoClient(uri, w="majority")[os.environ["BENCH_DATABASE"]]
        self.collection, self.size, self.document = database[collection], size, document
        self.batch = {}

    def on_change(self, key, row, time, is_addition):
        # A change is a removal and an addition; groups never go away.
        if is_addition:
            self.batch[row["window"], row["group"]] = row

    def on_time_end(self, time):
        if not self.batch:
            return
        batch, self.batch = self.batch, {}
        writes = []
        for (start, group), row in batch.items():
            id = f"{start}|{group}"
            document = self.document(row, date(start), date(start + self.size))
            document["_id"] = id
            writes.append(ReplaceOne({"_id": id}, document, upsert=True))
        # The callbacks run in one worker: two connections keep mongod's cores busy.
        parts = [writes[i : i + 1000] for i in range(0, len(writes), 1000)]
        # list(): waits for the acknowledgements and raises what went wrong, before
        # the engine counts this minibatch as done.
        list(POOL.map(lambda part: self.collection.bulk_write(part, ordered=False), parts))


def write(table, collection, size, document):
    sink = Sink(collection, size, document)
    pw.io.subscribe(table, on_change=sink.on_change, on_time_end=sink.on_time_end, name=collection)


customers = read("customers", Customer).select(
    pw.this.customer_id, group=pw.this.gender, login=event_ms(pw.this.last_login)
)
customers = customers.with_columns(window=window(pw.this.login, DAY))
customers = customers.groupby(pw.this.window, pw.this.group).reduce(
    pw.this.window,
    pw.this.group,
    total=pw.reducers.count(),
    unique=pw.reducers.count_distinct(pw.this.customer_id),
    last=pw.reducers.max(pw.this.login),
)
write(
    customers,
    "customer_analysis",
    DAY,
    lambda row, start, end: {
        "window": {"start": start, "end": end},
        "gender": row["group"],
        "total_customers": row["total"],
        "unique_customers": row["unique"],
        "last_activity": date(row["last"]),
    },
)

products = read("products", Product, with_metadata=True).with_columns(
    group=pw.this.category, window=window(message_ms(), HOUR)
)
products = products.groupby(pw.this.window, pw.this.group).reduce(
    pw.this.window,
    pw.this.group,
    price=pw.reducers.avg(pw.this.price),
    stock=pw.reducers.sum(pw.this.stock_quantity),
)
write(
    products,
    "product_analysis",
    HOUR,
    lambda row, start, end: {
        "window_start": start,
        "window_end": end,
        "category": row["group"],
        "average_price": row["price"],
        "total_stock": row["stock"],
    },
)

sales = read("transactions", Transaction, with_metadata=True).with_columns(
    group=pw.this.product_id, window=window(message_ms(), HOUR)
)
sales = sales.groupby(pw.this.window, pw.this.group).reduce(
    pw.this.window,
    pw.this.group,
    number=pw.reducers.count(),
    quantity=pw.reducers.sum(pw.this.quantity),
    unique=pw.reducers.count_distinct(pw.this.customer_id),
)
write(
    sales,
    "sales_analysis",
    HOUR,
    lambda row, start, end: {
        "window_start": start,
        "window_end": end,
        "product_id": row["group"],
        "number_of_sales": row["number"],
        "total_quantity_sold": row["quantity"],
        "unique_customers": row["unique"],
    },
)

views = read("product_views", ProductView).with_columns(
    group=pw.this.product_id, window=window(event_ms(pw.this.timestamp), HOUR)
)
views = views.groupby(pw.this.window, pw.this.group).reduce(
    pw.this.window,
    pw.this.group,
    total=pw.reducers.count(),
    duration=pw.reducers.avg(pw.this.view_duration),
)
write(
    views,
    "product_views_analysis",
    HOUR,
    lambda row, start, end: {
        "window_start": start,
        "window_end": end,
        "product_id": row["group"],
        "total_views": row["total"],
        "average_view_duration": row["duration"],
    },
)

# Fault tolerance: input and offsets are kept on disk every 10 s; a restart computes its
# state from them again and reads on where they end. Documents are upserted under their
# own id, so what is written twice does no harm. (To keep the operators' state instead,
# OPERATOR_PERSISTING, needs a licence key.)
pw.run(
    monitoring_level=pw.MonitoringLevel.NONE,
    persistence_config=pw.persistence.Config(
        pw.persistence.Backend.filesystem(STATE.name), snapshot_interval_ms=10_000
    ),
)
