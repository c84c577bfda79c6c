"""What the image's build gets: a workspace that cargo knows whole.

Of the Dockerfile's stage `build` it takes what is copied from here, as far as .dockerignore lets it
through, and asks cargo what that is.
"""

import os
import re
import shutil
import subprocess
import tempfile

from tools import ROOT


def sources():
    """The faults of what is copied."""
    with open(f"{ROOT}/Dockerfile", encoding="utf-8") as file:
        stages = re.split(r"^FROM ", file.read(), flags=re.M)
    build = next(stage for stage in stages if " AS build" in stage.splitlines()[0])
    with open(f"{ROOT}/.dockerignore", encoding="utf-8") as file:
        sent = {line[1:].strip() for line in file if line.startswith("!")}
    copied = [word for line in re.findall(r"^COPY (?!--)(.*)$", build, re.M) for word in line.split()[:-1]]
    faults = [f"{name} is copied, and .dockerignore keeps it back" for name in copied if name not in sent]
    with tempfile.TemporaryDirectory() as directory:
        for name in copied:
            source = f"{ROOT}/{name}"
            if os.path.isdir(source):
                shutil.copytree(source, f"{directory}/{name}")
            else:
                shutil.copy(source, directory)
        asked = ["cargo", "metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"]
        found = subprocess.run(asked, cwd=directory, capture_output=True, text=True, check=False)
        if found.returncode:
            faults.append(f"what is copied is no workspace: {' '.join(found.stderr.split())}")
    return faults
