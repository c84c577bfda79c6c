"""A program as a task: what it prints is the task's log, how it ends is the task's end.

| the program | the task |
| --- | --- |
| ends with 0 | succeeded |
| ends with 2: wrong usage or configuration | failed, and not tried again |
| ends otherwise | failed, and tried again |
| is not there | failed, and not tried again |

A task that failed names the exit code and the program's last lines, which is where
both programs say why.
"""

import signal
import subprocess
from collections import deque
from collections.abc import Callable
from pathlib import Path

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from tidemark_airflow.settings import program_environment

# Enough for a reason and what led to it.
LAST_LINES = 10
# Time to write what was read, when it is told to end.
SECONDS_TO_END = 30
WRONG_USAGE = 2


class Program(BaseOperator):
    """Runs a program to its end.

    `command` gives the program's path and arguments. It is called when the task
    runs, since it looks up settings.
    """

    def __init__(self, *, command: Callable[[], list[str]], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.command = command
        self.process: subprocess.Popen[str] | None = None
        self.told_to_end = False

    def execute(self, context: Context) -> None:
        command = self.command()
        self.log.info("running %s", " ".join(command))
        process = self.start(command)
        last: deque[str] = deque(maxlen=LAST_LINES)
        assert process.stdout is not None, "it was started with a pipe"
        # Not `with`: a timeout comes as an exception out of this loop, and Airflow
        # calls `on_kill` only then. Leaving a `with` would wait for the program first.
        for line in process.stdout:
            self.log.info("%s", line.rstrip())
            last.append(line.rstrip())
        self.judge(Path(command[0]).name, process.wait(), last)

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="backslashreplace",
                env=program_environment(),
                # Its end is for `on_kill`, not for a Ctrl-C meant for Airflow.
                start_new_session=True,
            )
        except OSError as error:
            raise AirflowFailException(
                f"{command[0]} could not be started: {error.strerror}; "
                "tidemark_programs names the folder with the programs"
            ) from None
        return self.process

    def judge(self, name: str, code: int, last: deque[str]) -> None:
        # Told to end, a pipeline ends well, but has not done what it was to do.
        if self.told_to_end:
            raise AirflowException(f"{name} was told to end before it was done")
        if code == 0:
            return
        how = f"exit code {code}" if code > 0 else f"killed by {signal.Signals(-code).name}"
        reason = f"{name} failed, {how}:\n" + "\n".join(last)
        if code == WRONG_USAGE:
            raise AirflowFailException(reason)
        raise AirflowException(reason)

    def on_kill(self) -> None:
        """Ends the program, in good order if it can: Airflow ends the task, or it took too long."""
        self.told_to_end = True
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            # Not waited for: this may have interrupted a wait, which holds a lock.
            self.process.kill()
