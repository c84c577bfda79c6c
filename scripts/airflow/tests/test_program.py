"""The task that runs a program: how its end becomes the task's."""

import threading
import unittest
from collections.abc import Callable

from airflow.sdk.exceptions import AirflowException, AirflowFailException
from surroundings import BROKERS, HOME, PROGRAMS, deaf_port, unique
from tidemark_airflow.program import Program


def task(*command: str) -> Program:
    return Program(task_id="program", command=lambda: list(command))


class HowItEnds(unittest.TestCase):
    def failure(self, program: Program) -> AirflowException:
        with self.assertRaises(AirflowException) as caught:
            # The context is for what a task asks of Airflow; this one asks nothing.
            program.execute({})
        return caught.exception

    def test_well(self) -> None:
        task(str(PROGRAMS / "tidemark"), "views").execute({})

    def test_with_its_reason(self) -> None:
        with deaf_port() as nobody:
            brokers = f"127.0.0.1:{nobody.getsockname()[1]}"
            pipeline = [str(PROGRAMS / "tidemark"), "--until-caught-up", "--http=off", "--connect-timeout=1s"]
            failed = self.failure(task(*pipeline, f"--brokers={brokers}", f"--sqlite={HOME}/{unique('a')}.sqlite"))
        self.assertNotIsInstance(failed, AirflowFailException)
        self.assertIn("tidemark failed, exit code 1:\n", str(failed))
        self.assertIn(f"tidemark: Kafka at {brokers} did not answer within 1 s", str(failed))

    def test_for_good_where_it_is_used_wrongly(self) -> None:
        failed = self.failure(task(str(PROGRAMS / "generator"), "--count=many"))
        self.assertIsInstance(failed, AirflowFailException)
        self.assertIn("generator failed, exit code 2:\n", str(failed))
        self.assertIn("invalid value 'many' for '--count <ROUNDS>'", str(failed))

    def test_for_good_where_it_is_not_there(self) -> None:
        failed = self.failure(task("/nowhere/tidemark"))
        self.assertIsInstance(failed, AirflowFailException)
        self.assertIn("/nowhere/tidemark could not be started: No such file or directory", str(failed))

    def test_by_a_signal(self) -> None:
        failed = self.failure(task("sh", "-c", "echo so far; kill -KILL $$"))
        self.assertEqual("sh failed, killed by SIGKILL:\nso far", str(failed))


class WhenAirflowEndsIt(unittest.TestCase):
    def ended(self, command: list[str]) -> tuple[Program, str]:
        """Runs `command` until it prints something, and ends it as Airflow does."""
        program = task(*command)
        printed = threading.Event()
        failures: list[str] = []
        program.log.info = tell(printed)  # type: ignore[method-assign]

        def run() -> None:
            try:
                program.execute({})
            except AirflowException as error:
                failures.append(str(error))

        thread = threading.Thread(target=run)
        thread.start()
        self.assertTrue(printed.wait(60), "it printed nothing")
        program.on_kill()
        thread.join(60)
        self.assertFalse(thread.is_alive(), "its task goes on")
        (failure,) = failures
        return program, failure

    def test_it_ends_in_good_order_and_the_task_is_not_done(self) -> None:
        pipeline = [str(PROGRAMS / "tidemark"), "--http=off", f"--brokers={BROKERS}"]
        pipeline += [f"--topic-prefix={unique('airflow')}.", f"--sqlite={HOME}/{unique('a')}.sqlite"]
        program, failure = self.ended(pipeline)
        self.assertEqual("tidemark was told to end before it was done", failure)
        assert program.process is not None
        self.assertEqual(0, program.process.returncode)


def tell(printed: threading.Event) -> Callable[..., None]:
    """A log that tells of the first line of the program, which comes after our own."""

    def info(message: str, *_: object) -> None:
        if message == "%s":
            printed.set()

    return info
