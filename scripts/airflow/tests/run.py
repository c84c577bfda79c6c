"""Runs the tests under the Airflow of this Python, in a home of its own.

```
 scripts/test airflow ─▶ virtual environment, services ─▶ this ─▶ unittest ─▶ airflow dags test …
```

Takes the addresses of the services from the environment, and the folder of the
programs from TIDEMARK_PROGRAMS. With arguments it runs these tests only, for
example `test_red` or `test_green.Green`.
"""

import os
import shutil
import sys
import unittest
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parents[2]
DAGS = TESTS.parent / "dags"


def prepare() -> None:
    """What has to be in the environment before Airflow is imported."""
    home = ROOT / "target/airflow/home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    # Not one setting of an Airflow that whoever runs this may have.
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        del os.environ[name]
    os.environ.setdefault("TIDEMARK_PROGRAMS", str(ROOT / "target/debug"))
    os.environ["AIRFLOW_HOME"] = str(home)
    os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(DAGS)
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    # Nothing is written beside the sources.
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.path += [str(TESTS), str(DAGS)]


def main() -> int:
    missing = [name for name in ("TIDEMARK_BROKERS", "TIDEMARK_MONGODB_URI") if not os.environ.get(name)]
    if missing:
        print(f"run.py: {' and '.join(missing)} not set; scripts/test airflow does that", file=sys.stderr)
        return 2
    prepare()
    from surroundings import PROGRAMS, Airflow

    for program in ("generator", "tidemark"):
        if not os.access(PROGRAMS / program, os.X_OK):
            print(f"run.py: {PROGRAMS / program} is missing: cargo build --workspace", file=sys.stderr)
            return 1
    migrated = Airflow().run("db", "migrate")
    if migrated.code != 0:
        print(f"run.py: airflow db migrate failed\n{migrated.log}", file=sys.stderr)
        return 1

    loader = unittest.TestLoader()
    names = sys.argv[1:]
    suite = loader.loadTestsFromNames(names) if names else loader.discover(str(TESTS))
    well = unittest.TextTestRunner(verbosity=2, buffer=True).run(suite)
    # A run of no tests is no success.
    return 0 if well.wasSuccessful() and well.testsRun > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
