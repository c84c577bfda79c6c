"""compose.yaml's services as processes of this machine.

Their commands, environments and files are those of compose.yaml; what differs is where
things are, since here there are no networks and no mounts of their own:

    kafka-1:9092              an address of 127.0.0.1       (`at`)
    /run/secrets/mongodb-uri  a file below target/stack     (each volume is a folder)
"""

import os
import re
import secrets
import shutil
import subprocess

import compose_file
from tools import HOME, ROOT, Problem, Process, ports, run, say, wait_until

# Tools of services.d, which `tools` puts on the path.
import kafka as real_kafka
import mongodb as real_mongodb

FOLDER = f"{HOME}/run"
CACHE = os.environ.get("TIDEMARK_CACHE") or f"{ROOT}/target/services/cache"
MONGOSH = "mongosh@2.12.0"
ADDRESSES = [
    "kafka-controller:9093", "kafka-1:9092", "kafka-2:9092", "mongodb:27017", "tidemark-0:2101",
    "tidemark-1:2101", "tidemark-0:8080", "tidemark-1:8080", "prometheus:9090",
]


class StandIn:
    def __init__(self, programs):
        self.stack = compose_file.load()
        self.programs = programs
        shutil.rmtree(FOLDER, ignore_errors=True)
        for volume in self.stack["volumes"]:
            os.makedirs(f"{FOLDER}/{volume}")
        self.at = {name: f"127.0.0.1:{port}" for name, port in zip(ADDRESSES, ports(len(ADDRESSES)))}
        self.processes = {}

    def service(self, name):
        return self.stack["services"][name]

    def mounts(self, name):
        """{path in the container: path here}"""
        found = {}
        for volume in self.service(name).get("volumes", []):
            source, target = volume.split(":")[:2]
            found[target] = f"{ROOT}/{source}" if source.startswith(".") else f"{FOLDER}/{source}"
        for used in self.service(name).get("configs", []):
            source = self.stack["configs"][used["source"]]["file"]
            found[used["target"]] = self.copy(source)
        return found

    def copy(self, path):
        """A file of the repository with its addresses placed."""
        with open(path) as file:
            text = self.placed(file.read())
        to = f"{FOLDER}/{os.path.basename(path)}"
        with open(to, "w") as file:
            file.write(text)
        return to

    def placed(self, text, mounts=()):
        for address, here in self.at.items():
            text = text.replace(address, here)
        if mounts:
            paths = "|".join(map(re.escape, mounts))
            # Whole paths only, and none within what has been put in already.
            text = re.sub(rf"(?<![\w/])(?:{paths})(?![\w-])", lambda found: mounts[found[0]], text)
        return text

    def command(self, name, field="command"):
        mounts = self.mounts(name)
        placed = [self.placed(word, mounts) for word in self.service(name)[field]]
        # All addresses, in a container, are the one that has the others' name.
        return [word.replace("0.0.0.0:8080", self.at.get(f"{name}:8080", "")) for word in placed]

    def environment(self, name):
        mounts = self.mounts(name)
        return {key: self.placed(value, mounts) for key, value in self.service(name).get("environment", {}).items()}

    def start(self, name, command, **environment):
        log = f"{FOLDER}/{name}.log"
        self.processes[name] = Process(name, command, log, **self.environment(name), **environment)
        return self.processes[name]

    def end(self, *names):
        """Asks all of them at once; their exit codes."""
        chosen = [self.processes.pop(name) for name in names if name in self.processes]
        for process in chosen:
            if not process.fell():
                process.popen.terminate()
        return [process.end() for process in chosen]

    def stop(self):
        # What reads goes before what it reads from; brokers before their controller.
        for name in reversed(list(self.processes)):
            self.end(name)

    # The services, in their order.

    def secrets(self):
        """The script gives each service its files, with no more rights than it has there."""
        given = f"{FOLDER}/given"
        os.makedirs(given)
        for name in self.service("secrets")["secrets"]:
            with open(f"{given}/{name}", "w") as file:
                file.write(secrets.token_hex(24))
        os.makedirs(f"{FOLDER}/secrets")
        for source, target in (volume.split(":") for volume in self.service("secrets")["volumes"]):
            os.symlink(f"{FOLDER}/{source}", f"{FOLDER}{target}")
        locked = ["setpriv", "--bounding-set=-all,+chown"] if os.geteuid() == 0 else []
        where = {"SECRETS_FROM": given, "SECRETS_TO": f"{FOLDER}/secrets", "SECRETS_MONGODB": self.at["mongodb:27017"]}
        # Twice, as at a second `up`.
        for _ in range(2):
            run([*locked, *self.command("secrets")], **where)

    def kafka(self):
        jars = real_kafka.fetch(CACHE)
        nodes = ["kafka-controller", "kafka-1", "kafka-2"]
        for name in nodes:
            java, settings = self.kafka_node(name)
            cluster = self.service(name)["environment"]["CLUSTER_ID"]
            run([*java, "-cp", f"{jars}/*", "kafka.tools.StorageTool", "format", "-t", cluster, "-c", settings])
            self.start(name, [*java, "-cp", f"{jars}/*", "kafka.Kafka", settings])
        brokers = [self.at[f"{name}:9092"] for name in nodes[1:]]
        for address in brokers:
            port = int(address.split(":")[1])
            known = lambda port=port: real_kafka.brokers(port) == {2, 3}
            wait_until(f"{address} knows both brokers", 90, known, self.running(*nodes))

    def kafka_node(self, name):
        """How its Java is called, and its settings, as the image's start script makes them."""
        environment = self.environment(name)
        heap = environment.pop("KAFKA_HEAP_OPTS").split()
        settings = {
            key.removeprefix("KAFKA_").lower().replace("_", "."): value
            for key, value in environment.items() if key.startswith("KAFKA_")
        }
        own = self.at.get(f"{name}:9092") or self.at[f"{name}:9093"]
        settings["listeners"] = f"{settings['listeners'].split(':')[0]}://{own}"
        path = f"{FOLDER}/{name}.properties"
        with open(path, "w") as file:
            file.writelines(f"{key}={value}\n" for key, value in settings.items())
        log = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        return ["java", *heap, "-XX:TieredStopAtLevel=1", *log], path

    def running(self, *names):
        return [self.processes[name] for name in names]

    def mongodb(self):
        mongod = real_mongodb.fetch(CACHE)
        port = self.at["mongodb:27017"].split(":")[1]
        own = ["--port", port, "--bind_ip", "127.0.0.1", "--nounixsocket", "--dbpath", f"{FOLDER}/mongodb"]
        # As the image does at its first start: a server without access control, for the
        # administrator to be made.
        environment = self.environment("mongodb")
        first = Process("mongodb", [mongod, *own], f"{FOLDER}/mongodb-first.log")
        make = f"{FOLDER}/first.js"
        with open(make, "w") as file:
            file.write(
                f"const admin = new Mongo('mongodb://127.0.0.1:{port}/').getDB('admin');\n"
                "const pwd = require('fs').readFileSync(process.env.MONGO_INITDB_ROOT_PASSWORD_FILE, 'utf8');\n"
                "admin.createUser({ user: process.env.MONGO_INITDB_ROOT_USERNAME, pwd, roles: ['root'] });\n"
            )
        try:
            run([self.mongosh(), "--nodb", "--quiet", "--norc", make], **environment, HOME=FOLDER)
        finally:
            first.end()
        said = [word for word in self.command("mongodb")[1:] if word != "--bind_ip_all"]
        server = self.start("mongodb", [mongod, *own, *said])
        health = self.service("mongodb")["healthcheck"]["test"]
        asked = [self.mongosh(), "--port", port, *health[2:]]
        healthy = lambda: subprocess.run(asked, capture_output=True, env={**os.environ, "HOME": FOLDER}).returncode == 0
        wait_until("MongoDB's health check passes", 60, healthy, [server])

    def mongodb_init(self):
        command = [self.mongosh(), *self.command("mongodb-init", "entrypoint")[1:]]
        environment = {**self.environment("mongodb-init"), "HOME": FOLDER}
        # Twice, as at a second `up`.
        for _ in range(2):
            run(command, **environment)

    def mongosh(self):
        home = f"{HOME}/mongosh"
        program = f"{home}/node_modules/.bin/mongosh"
        if not os.path.exists(f"{home}/done"):
            if not shutil.which("npm"):
                raise Problem("npm is missing, which mongosh is had with (Debian: apt-get install npm)")
            say(f"getting {MONGOSH}")
            shutil.rmtree(home, ignore_errors=True)
            os.makedirs(home)
            run(["npm", "install", "--prefix", home, "--no-audit", "--no-fund", "--ignore-scripts", "--silent", MONGOSH])
            open(f"{home}/done", "w").close()
        return program

    def generator(self):
        self.start("generator", [f"{self.programs}/generator", *self.command("generator")])

    def token(self):
        """What opens HTTP."""
        with open(f"{FOLDER}/secrets-tidemark/http-token") as file:
            return file.read()

    def tidemark(self, name):
        self.start(name, [f"{self.programs}/tidemark", *self.command(name)])

    def prometheus(self, program):
        folder = f"{FOLDER}/etc"
        os.makedirs(folder, exist_ok=True)
        for name in ("prometheus.yml", "alerts.yml"):
            os.replace(self.copy(f"deploy/prometheus/{name}"), f"{folder}/{name}")
        mounts = {**self.mounts("prometheus"), "/etc/prometheus": folder}
        with open(f"{folder}/prometheus.yml") as file:
            text = file.read()
        with open(f"{folder}/prometheus.yml", "w") as file:
            file.write(text.replace("/run/secrets", mounts["/run/secrets"]))
        words = [self.placed(word, mounts) for word in self.service("prometheus")["command"]]
        self.start("prometheus", [program, *words, f"--web.listen-address={self.at['prometheus:9090']}"])
