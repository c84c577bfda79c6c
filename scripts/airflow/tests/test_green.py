"""Both DAGs, one after the other, on a real Kafka and a real MongoDB: all is there."""

import unittest

from airflow.sdk.exceptions import AirflowException
from shop import Shop
from surroundings import BROKERS, MONGODB_URI, Airflow, Ended
from tidemark_airflow import result, topics

# Each view of one topic, and its column that counts the topic's events.
COUNTS = {
    "customers": ("customer_analysis", "total_customers"),
    "transactions": ("sales_analysis", "number_of_sales"),
    "product_views": ("product_views_analysis", "total_views"),
    "user_interactions": ("interaction_analysis", "total_interactions"),
    "system_logs": ("log_analysis", "total_logs"),
}


class Green(unittest.TestCase):
    shop: Shop
    batch: Ended
    catch_up: Ended

    @classmethod
    def setUpClass(cls) -> None:
        cls.shop = Shop()
        cls.addClassCleanup(cls.shop.close)
        settings = cls.shop.settings()
        # A variable, here by Airflow's own way to set one for a process, wins over
        # the environment, which names another shop.
        settings["AIRFLOW_VAR_TIDEMARK_TOPIC_PREFIX"] = settings["TIDEMARK_TOPIC_PREFIX"]
        settings["TIDEMARK_TOPIC_PREFIX"] = "another."
        airflow = Airflow(settings)
        cls.batch = airflow.test("pipeline_real_time_data_streaming")
        cls.catch_up = airflow.test("tidemark_catch_up")

    def test_1_both_are_green(self) -> None:
        for ended in (self.batch, self.catch_up):
            self.assertEqual(0, ended.code, ended.log)
            self.assertIn("state=success", ended.log)

    def test_2_the_batch_is_in_kafka(self) -> None:
        messages = self.shop.messages()
        # Every round makes a customer or a product, and a log line.
        self.assertEqual(100, len(messages["customers"]) + len(messages["products"]), self.batch.log)
        self.assertEqual(100, len(messages["system_logs"]))

    def test_3_mongodb_has_what_kafka_has(self) -> None:
        messages = self.shop.messages()
        self.assertEqual(0, self.shop.count("dead_letters"))
        for topic, (view, column) in COUNTS.items():
            with self.subTest(view=view):
                self.assertGreater(len(messages[topic]), 0)
                self.assertEqual(len(messages[topic]), self.shop.sum(view, column))
        stock = sum(product["stock_quantity"] for product in messages["products"])
        self.assertEqual(stock, self.shop.sum("product_analysis", "total_stock"))
        self.assertEqual(len(messages["transactions"]), self.shop.sum("revenue_analysis", "orders"))

    def test_4_the_log_says_how_much(self) -> None:
        self.assertIn("acknowledged", self.batch.log)
        rows = self.shop.count("sales_analysis")
        self.assertIn(f"sales_analysis {rows}", self.catch_up.log)

    def test_5_the_check_sees_what_is_missing(self) -> None:
        self.shop.send()
        extent = topics.extent({"bootstrap.servers": BROKERS}, self.shop.prefix)
        with self.assertRaisesRegex(AirflowException, rf"is behind Kafka: .*{self.shop.prefix}system_logs partition"):
            result.check(MONGODB_URI, self.shop.database, extent)

    def test_6_the_check_sees_that_nothing_is_there(self) -> None:
        extent = topics.extent({"bootstrap.servers": BROKERS}, self.shop.prefix)
        with self.assertRaisesRegex(AirflowException, "no document of progress"):
            result.check(MONGODB_URI, self.shop.database + "_other", extent)
        with self.assertRaisesRegex(AirflowException, "none of the topics elsewhere.customers"):
            topics.extent({"bootstrap.servers": BROKERS}, "elsewhere.")
