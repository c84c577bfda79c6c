"""Four windowed aggregates of a shop, as Spark Structured Streaming queries.

Each reads a topic of JSON, groups it by window and key, and upserts the rows that
changed in a micro-batch into a MongoDB collection. Started by `run`.
"""

import os

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

PREFIX = os.environ["BENCH_PREFIX"]
UNTIL_CAUGHT_UP = os.environ["BENCH_UNTIL"] == "caught-up"
LATENESS = "2 hours"

spark = SparkSession.builder.appName("shop").getOrCreate()


def events(topic, schema):
    """The topic's values, with the Kafka timestamp as `kafka_time`.

    The schema names only what the query needs: the parser skips the rest.
    """
    return (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", os.environ["TIDEMARK_BROKERS"])
        .option("subscribe", PREFIX + topic)
        .option("startingOffsets", "earliest")
        # After each poll Spark asks for the partition's first and last offset, and seeks, which
        # throws away what was fetched ahead: so poll much at once (500 records and 1 MiB else).
        .option("kafka.max.poll.records", "50000")
        .option("kafka.max.partition.fetch.bytes", str(16 << 20))
        .load()
        .select(F.from_json(F.col("value").cast("string"), schema).alias("event"), F.col("timestamp").alias("kafka_time"))
        .select("event.*", "kafka_time")
    )


def windowed(rows, time, length, key):
    """Rows without a key could not be decoded; those without a time, `window` drops."""
    return rows.where(F.col(key).isNotNull()).withWatermark(time, LATENESS).groupBy(F.window(time, length), key)


def document(rows, key, *fields):
    """The fields, under an _id that makes writing a row again a replacement."""
    start = F.date_format("window.start", "yyyy-MM-dd'T'HH:mm:ss'Z'")
    return rows.select(F.concat_ws("|", start, key).alias("_id"), *fields)


WINDOW = [F.col("window.start").alias("window_start"), F.col("window.end").alias("window_end")]
# Spark has no exact count(distinct) in a stream; its error message names this in its place.
UNIQUE_CUSTOMERS = F.approx_count_distinct("customer_id").alias("unique_customers")

customers = events("customers", "customer_id STRING, gender STRING, last_login TIMESTAMP")
customer_analysis = windowed(customers, "last_login", "1 day", "gender").agg(
    F.count("*").alias("total_customers"), UNIQUE_CUSTOMERS, F.max("last_login").alias("last_activity")
)

products = events("products", "category STRING, price DOUBLE, stock_quantity INT")
product_analysis = windowed(products, "kafka_time", "1 hour", "category").agg(
    F.avg("price").alias("average_price"), F.sum("stock_quantity").alias("total_stock")
)

transactions = events("transactions", "product_id STRING, customer_id STRING, quantity INT")
sales_analysis = windowed(transactions, "kafka_time", "1 hour", "product_id").agg(
    F.count("*").alias("number_of_sales"), F.sum("quantity").alias("total_quantity_sold"), UNIQUE_CUSTOMERS
)

views = events("product_views", "product_id STRING, timestamp TIMESTAMP, view_duration INT")
product_views_analysis = windowed(views, "timestamp", "1 hour", "product_id").agg(
    F.count("*").alias("total_views"), F.avg("view_duration").alias("average_view_duration")
)

QUERIES = {
    "customer_analysis": document(
        customer_analysis, "gender", "window", "gender", "total_customers", "unique_customers", "last_activity"
    ),
    "product_analysis": document(product_analysis, "category", *WINDOW, "category", "average_price", "total_stock"),
    "sales_analysis": document(
        sales_analysis, "product_id", *WINDOW, "product_id", "number_of_sales", "total_quantity_sold", "unique_customers"
    ),
    "product_views_analysis": document(
        product_views_analysis, "product_id", *WINDOW, "product_id", "total_views", "average_view_duration"
    ),
}


def start(collection, rows):
    def write(batch, _batch_id):
        (
            batch.write.format("mongodb")
            .mode("append")
            .option("connection.uri", os.environ["TIDEMARK_MONGODB_URI"])
            .option("database", os.environ["BENCH_DATABASE"])
            .option("collection", collection)
            # Replaces the document of this _id, or inserts it.
            .option("operationType", "replace")
            .option("ordered", "false")
            .option("writeConcern.w", "majority")
            .save()
        )

    # The query's thread takes this over: a scheduler pool for each query.
    spark.sparkContext.setLocalProperty("spark.scheduler.pool", collection)
    writer = (
        rows.writeStream.queryName(collection)
        .outputMode("update")
        .option("checkpointLocation", os.path.join(os.environ["BENCH_STATE"], "checkpoints", collection))
        .foreachBatch(write)
    )
    # The next micro-batch as soon as the last is done; or all that is there now, then the end.
    writer = writer.trigger(availableNow=True) if UNTIL_CAUGHT_UP else writer.trigger(processingTime="0 seconds")
    return writer.start()


queries = [start(collection, rows) for collection, rows in QUERIES.items()]
# Either raises what a query failed with, and so ends the run with a code other than 0.
if UNTIL_CAUGHT_UP:
    for query in queries:
        query.awaitTermination()
else:
    spark.streams.awaitAnyTermination()
spark.stop()
