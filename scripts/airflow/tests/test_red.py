"""What is away or refuses: the DAG is red, and the task's log says why."""

import unittest
from pathlib import Path

from shop import Shop
from surroundings import HOME, MONGODB_URI, Airflow, Ended, deaf_port, secret_file

PASSWORD = "not-the-password"


class Red(unittest.TestCase):
    def setUp(self) -> None:
        self.shop = Shop()
        self.addCleanup(self.shop.close)

    def assert_failed_twice(self, ended: Ended, task: str) -> None:
        self.assert_failed(ended, task, 2)

    def assert_failed(self, ended: Ended, task: str, times: int) -> None:
        self.assertNotEqual(0, ended.code, ended.log)
        self.assertIn("state=failed", ended.log)
        self.assertEqual(times, ended.log.count(f"[DAG TEST] running task <TaskInstance: {task} "), ended.log)

    def test_a_batch_without_kafka(self) -> None:
        with deaf_port() as nobody:
            brokers = f"127.0.0.1:{nobody.getsockname()[1]}"
            ended = Airflow({**self.shop.settings(), "TIDEMARK_BROKERS": brokers}).test(
                "pipeline_real_time_data_streaming"
            )
        self.assert_failed_twice(ended, "pipeline_real_time_data_streaming.stream_data")
        self.assertIn("generator failed, exit code 1:", ended.log)
        self.assertIn(f"no Kafka broker answered at {brokers} within 5 s", ended.log)
        self.assertIn("Connection refused", ended.log)

    def test_a_catch_up_without_kafka(self) -> None:
        with deaf_port() as nobody:
            brokers = f"127.0.0.1:{nobody.getsockname()[1]}"
            ended = Airflow({**self.shop.settings(), "TIDEMARK_BROKERS": brokers}).test("tidemark_catch_up")
        self.assert_failed_twice(ended, "tidemark_catch_up.topic_ends")
        self.assertIn(f"Kafka at {brokers} did not answer within 10 s", ended.log)
        self.assertIn("Connection refused", ended.log)
        self.assertNotIn("running task <TaskInstance: tidemark_catch_up.catch_up", ended.log)

    def test_a_catch_up_that_mongodb_refuses(self) -> None:
        self.shop.send()
        uri = MONGODB_URI.replace("mongodb://", f"mongodb://ann:{PASSWORD}@")
        uri_file = secret_file(uri)
        self.addCleanup(uri_file.unlink)
        ended = Airflow({**self.shop.settings(), "TIDEMARK_MONGODB_URI_FILE": str(uri_file)}).test("tidemark_catch_up")
        # A password does not become right by trying again.
        self.assert_failed(ended, "tidemark_catch_up.catch_up", 1)
        self.assertIn("tidemark failed, exit code 2:", ended.log)
        self.assertIn("Authentication failed", ended.log)
        self.assertNotIn("running task <TaskInstance: tidemark_catch_up.check", ended.log)
        self.assert_secret(ended)

    def assert_secret(self, ended: Ended) -> None:
        """The password is in no log, and in nothing that Airflow keeps, its database included."""
        self.assertNotIn(PASSWORD, ended.log)
        kept = [path for path in HOME.rglob("*") if path.is_file()]
        self.assertIn(HOME / "airflow.db", kept)
        self.assertEqual([], [path for path in kept if self.holds(path)])

    @staticmethod
    def holds(path: Path) -> bool:
        return PASSWORD.encode() in path.read_bytes()
