"""Apache Kafka in KRaft mode: node 1 is broker and controller, node 2 a broker.

So node 2 can be killed and brought back while the cluster lives.
"""

import base64
import os
import re
import socket
import struct
import subprocess
import uuid

from downloads import HERE, call, need, obtain, sums
from nodes import Failure, Node, wait_until

VERSION = "4.3.1"

# Small heaps and the quick compiler only: these brokers are started often and
# move little. Log lines at WARN and above go to the node's log.
JAVA = [
    "java", "-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
    "-Djava.awt.headless=true", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
]

# Retention is off and any timestamp is taken, because tests write messages of
# every year and Kafka would drop those it finds old or refuse those ahead.
# Internal topics live on both brokers and need one, so that one may die.
SETTINGS = """
node.id={id}
process.roles={roles}
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners={listeners}
advertised.listeners={advertised}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,CLIENTS:PLAINTEXT
log.dirs={directory}/data
auto.create.topics.enable=false
min.insync.replicas=1
offsets.topic.num.partitions=2
offsets.topic.replication.factor=2
transaction.state.log.num.partitions=2
transaction.state.log.replication.factor=2
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=1000
log.cleaner.backoff.ms=500
log.retention.ms=-1
log.retention.bytes=-1
log.message.timestamp.before.max.ms=9223372036854775807
log.message.timestamp.after.max.ms=9223372036854775807
log.segment.bytes=67108864
log.index.size.max.bytes=1048576
log.segment.delete.delay.ms=1000
log.cleaner.dedupe.buffer.size=8388608
num.network.threads=2
num.io.threads=4
"""


def fetch(cache):
    """The jars of Kafka and all that they need, by Maven."""

    def download(directory):
        need("java", "openjdk-17-jre-headless")
        need("mvn", "maven")
        command = ["mvn", "-q", "-B", "-f", f"{HERE}/kafka.pom.xml"]
        command += ["dependency:copy-dependencies", f"-DoutputDirectory={directory}"]
        if call(command) != 0:
            raise Failure("mvn could not download Kafka; its lines above say why")

    jars = f"{cache}/kafka-{VERSION}"
    obtain(f"Kafka {VERSION}", jars, sums("kafka.sha256"), download)
    return jars


def need_java():
    need("java", "openjdk-17-jre-headless")
    said = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr
    version = re.search(r'version "(\d+)', said)
    if not version or int(version[1]) < 17:
        first = said.splitlines()[0] if said else "nothing"
        raise Failure(f"Kafka needs Java 17 or newer; `java -version` says {first}")


def cluster_id():
    """A UUID as Kafka writes it. A leading dash would look like an option to its tools."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


class Kafka:
    def __init__(self, state, cache):
        self.cache = cache
        self.jars = None
        self.controller = state.port("kafka controller")
        self.cluster = state.keep("kafka cluster", cluster_id)
        self.nodes = [self.node(state, number) for number in (1, 2)]

    def node(self, state, number):
        node = Node(state, f"kafka-{number}", lambda: self.java("kafka.Kafka", self.settings(node)))
        node.number = number
        # Brokers talk past the proxies: what a proxy holds is held from clients only.
        node.clients = state.port(f"{node.name} clients") if node.proxy else None
        return node

    def java(self, main, *arguments):
        return [*JAVA, "-cp", f"{self.jars}/*", main, *arguments]

    def settings(self, node):
        """Write the node's server.properties; its path."""
        own = f"PLAINTEXT://127.0.0.1:{node.port}"
        listeners, advertised = own, own
        if node.proxy:
            listeners += f",CLIENTS://127.0.0.1:{node.clients}"
            advertised += f",CLIENTS://127.0.0.1:{node.proxy}"
        first = node.number == 1
        if first:
            listeners += f",CONTROLLER://127.0.0.1:{self.controller}"
        path = f"{node.directory}/server.properties"
        with open(path, "w") as file:
            file.write(SETTINGS.format(
                id=node.number, directory=node.directory, controller=self.controller,
                roles="broker,controller" if first else "broker",
                listeners=listeners, advertised=advertised,
            ))
        return path

    def prepare(self, chosen):
        """Download, and format the storage of the nodes that have none yet."""
        if not chosen:
            return
        need_java()
        self.jars = fetch(self.cache)
        formatting = {}
        for node in chosen:
            if os.path.exists(f"{node.directory}/data/meta.properties"):
                continue
            tool = self.java(
                "kafka.tools.StorageTool", "format", "-t", self.cluster, "-c", self.settings(node)
            )
            formatting[node] = subprocess.Popen(
                tool, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        for node, process in formatting.items():
            said = process.communicate()[0]
            if process.returncode != 0:
                raise Failure(f"could not format the storage of {node.name}:\n{said}")

    def wait(self, chosen):
        """Until every chosen broker answers and counts itself and the others in."""
        if not chosen:
            return
        living = {node.number for node in self.nodes if node.pid()}
        for node in chosen:
            wait_until(
                f"{node.name} knows the brokers {sorted(living)}", 90,
                lambda node=node: living <= brokers(node.port), chosen,
            )

    def proxied(self):
        return [(node, node.clients) for node in self.nodes if node.proxy]

    def environment(self):
        return [
            "TIDEMARK_BROKERS=" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes),
            f"KAFKA_JARS={self.jars or fetch(self.cache)}",
        ]


def brokers(port):
    """The ids of the registered brokers, by a metadata request (v1, no topics)."""
    client = b"services"
    request = struct.pack(">hhih", 3, 1, 1, len(client)) + client + struct.pack(">i", 0)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            file = connection.makefile("rb")
            (size,) = struct.unpack(">i", file.read(4))
            answer = file.read(size)
        found, at = set(), 8
        for _ in range(struct.unpack_from(">i", answer, 4)[0]):
            number, host = struct.unpack_from(">ih", answer, at)
            at += 6 + host + 4
            (rack,) = struct.unpack_from(">h", answer, at)
            at += 2 + max(rack, 0)
            found.add(number)
        return found
    except (OSError, struct.error):
        return set()
