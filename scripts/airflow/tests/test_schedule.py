"""When the DAGs run, and what happens when a task fails: as Airflow reads it."""

import os
import unittest
from datetime import timedelta

from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk import DAG


class Schedule(unittest.TestCase):
    dags: dict[str, DAG]

    @classmethod
    def setUpClass(cls) -> None:
        folder = os.environ["AIRFLOW__CORE__DAGS_FOLDER"]
        bag = BundleDagBag(folder, bundle_path=folder, bundle_name="dags-folder")
        assert not bag.import_errors, bag.import_errors
        cls.dags = bag.dags

    def test_there_are_two(self) -> None:
        self.assertEqual({"pipeline_real_time_data_streaming", "tidemark_catch_up"}, set(self.dags))

    def test_a_batch_is_sent_daily(self) -> None:
        dag = self.dags["pipeline_real_time_data_streaming"]
        self.assertEqual("@daily", dag.schedule)
        self.assertEqual(["stream_data"], [task.task_id for task in dag.tasks])
        self.assertFalse(dag.is_paused_upon_creation)

    def test_a_batch_is_followed_by_a_catch_up(self) -> None:
        (batch,) = self.dags["pipeline_real_time_data_streaming"].tasks
        catch_up = self.dags["tidemark_catch_up"]
        self.assertEqual(batch.outlets, catch_up.schedule)
        self.assertTrue(catch_up.is_paused_upon_creation)
        order = {task.task_id: task.downstream_task_ids for task in catch_up.tasks}
        self.assertEqual({"catch_up", "check"}, order["topic_ends"])
        self.assertEqual({"check"}, order["catch_up"])

    def test_a_task_is_tried_again_once_after_five_minutes(self) -> None:
        for dag in self.dags.values():
            for task in dag.tasks:
                with self.subTest(dag=dag.dag_id, task=task.task_id):
                    self.assertEqual((1, timedelta(minutes=5)), (task.retries, task.retry_delay))

    def test_what_was_missed_is_not_made_up_for(self) -> None:
        for dag in self.dags.values():
            with self.subTest(dag=dag.dag_id):
                self.assertFalse(dag.catchup)
                self.assertEqual(1, dag.max_active_runs)
