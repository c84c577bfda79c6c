"""The two command lines, from the settings."""

import os

from tidemark_airflow.settings import mongodb_uri, setting

# As many as the former script made each day.
ROUNDS = 100


def program(name: str) -> str:
    """The path of a program, or its name where it is to be found on the PATH."""
    return os.path.join(setting("programs"), name)


def batch() -> list[str]:
    """One batch of made-up events."""
    return [
        program("generator"),
        f"--brokers={setting('brokers')}",
        f"--topic-prefix={setting('topic_prefix')}",
        f"--count={ROUNDS}",
        "--quiet",
    ]


def catch_up() -> list[str]:
    """Everything that the topics hold now, into the database."""
    mongodb_uri()  # so that its password is masked, should it ever be printed
    command = [
        program("tidemark"),
        "--until-caught-up",
        f"--brokers={setting('brokers')}",
        f"--topic-prefix={setting('topic_prefix')}",
        f"--mongodb-uri-file={setting('mongodb_uri_file')}",
        f"--database={setting('database')}",
        # It runs for seconds, and another may have the port.
        "--http=off",
    ]
    checkpoint = setting("checkpoint")
    return [*command, f"--checkpoint={checkpoint}"] if checkpoint else command
