"""Where the brokers, the database and the programs are.

```
 Airflow variable tidemark_NAME ─▶ else environment TIDEMARK_NAME ─▶ else the default
```

The names are those of the program's own settings. They are looked up when a task
runs, never when a DAG file is parsed: parsing happens every few seconds, and
must not depend on a database. Nothing here is a template field, so that Airflow
neither renders nor stores any of it.
"""

import os
import re
from pathlib import Path
from urllib.parse import unquote

from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.log import mask_secret

DEFAULTS: dict[str, str] = {
    "brokers": "localhost:9092",
    "topic_prefix": "",
    # A file, so that the password stands in no variable and in no list of processes.
    "mongodb_uri_file": "/run/secrets/mongodb-uri",
    "database": "ecommerce_website",
    # A folder or an object store. Without one, each run reads all topics again.
    "checkpoint": "",
    # The folder with `generator` and `tidemark`; else they are on the PATH.
    "programs": "",
}

# The librdkafka properties that say how to reach a broker. The program takes all
# properties; these are the ones that the check needs as well.
KAFKA_PREFIX = "TIDEMARK_KAFKA_"
CONNECTING = ("security.", "sasl.", "ssl.", "socket.", "client.", "broker.")


def setting(name: str) -> str:
    """The setting `name`, one of `DEFAULTS`."""
    default = DEFAULTS[name]
    value = Variable.get(f"tidemark_{name}", default=None)
    if value is None:
        value = os.environ.get(f"TIDEMARK_{name.upper()}", "")
    return value or default


def mongodb_uri() -> str:
    """What stands in the URI file. From here on its password is masked in every log.

    Fails the task for good where there is no such file: a second try would find
    none either.
    """
    path = setting("mongodb_uri_file")
    try:
        uri = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise AirflowFailException(
            f"the MongoDB URI could not be read: {error}; tidemark_mongodb_uri_file names the file with it"
        ) from None
    mask_secret(uri)
    for password in re.findall(r"://[^/@:]*:([^/@]*)@", uri):
        mask_secret(password)
        mask_secret(unquote(password))
    return uri


def kafka_properties() -> dict[str, str]:
    """Properties for a Kafka client of our own: brokers, and how to connect to them."""
    properties = {"bootstrap.servers": setting("brokers")}
    for name, value in os.environ.items():
        if name.startswith(KAFKA_PREFIX):
            key = name.removeprefix(KAFKA_PREFIX).lower().replace("_", ".")
            if key.startswith(CONNECTING):
                properties[key] = value
                if "password" in key or "secret" in key:
                    mask_secret(value)
    return properties


def program_environment() -> dict[str, str]:
    """The environment of the programs: ours, with every other `TIDEMARK_…` setting.

    What is Airflow's own stays here, above all its secrets, and so does the
    folder of the programs, which is no setting of theirs.
    """
    ours = ("AIRFLOW", "_AIRFLOW", "TIDEMARK_PROGRAMS")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
