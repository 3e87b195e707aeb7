"""Apache Kafka in a process of its own, to compare with: one KRaft node from the Maven artifacts of a release."""

import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

VERSION = "4.3.1"
START_TIMEOUT_S = 60
TOOL_TIMEOUT_S = 90
CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qg"

_ROOT = Path(__file__).parents[2]
_HOME = _ROOT / ".venv" / "interop" / f"kafka-{VERSION}"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_MODULES = [
    ("org.apache.kafka", "kafka_2.13", VERSION),
    ("org.apache.kafka", "kafka-clients", VERSION),
    ("org.apache.kafka", "kafka-tools", VERSION),
    ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.3"),
    ("org.apache.logging.log4j", "log4j-core", "2.25.3"),
]
_LOG4J = """\
status = error
appender.stderr.type = Console
appender.stderr.name = STDERR
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = ${sys:level:-WARN}
rootLogger.appenderRef.stderr.ref = STDERR
"""
_JVM = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xlog:disable", "-Djava.awt.headless=true")
_ASK_NOBODY = ("--list", "--bootstrap-server", "127.0.0.1:1", "--command-config")
_PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "inter.broker.listener.name": "PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "5",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "5",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "5",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "true",
}


@dataclass(frozen=True)
class Result:
    """What a tool printed, and its exit status."""

    stdout: str
    stderr: str
    status: int


def install() -> Path:
    """Fetch the jars of Apache Kafka unless they are here, and return their folder.

    Raises RuntimeError when the JDK or Maven is missing or fails.
    """
    done = _HOME / "install.done"
    wanted = "\n".join(":".join(module) for module in _MODULES)
    if done.is_file() and done.read_text() == wanted:
        return _HOME
    for command in ("javac", "mvn"):
        if shutil.which(command) is None:
            raise RuntimeError(f"{command} is needed and is not installed (Debian: default-jdk-headless maven)")
    shutil.rmtree(_HOME, ignore_errors=True)
    _HOME.mkdir(parents=True)
    (_HOME / "log4j2.properties").write_text(_LOG4J)
    (_HOME / "pom.xml").write_text(_pom())
    copy = ["mvn", "-q", "-B", "-f", str(_HOME / "pom.xml"), _COPY, f"-DoutputDirectory={_HOME / 'libs'}"]
    fetched = subprocess.run([*copy, "-DincludeScope=runtime"], capture_output=True, text=True)
    if fetched.returncode:
        raise RuntimeError(f"mvn could not fetch Apache Kafka {VERSION}:\n{fetched.stdout[-4000:]}")
    done.write_text(wanted)
    _archive_classes()
    return _HOME


def is_installed() -> bool:
    return (_HOME / "install.done").is_file()


def _archive_classes() -> None:
    """Let the JVM keep the classes that a tool loads: the next tools start in half the time."""
    impatient = _HOME / "impatient.properties"
    impatient.write_text("default.api.timeout.ms=200\nrequest.timeout.ms=100\n")
    command = java("org.apache.kafka.tools.TopicCommand", *_ASK_NOBODY, str(impatient))
    command.insert(1, f"-XX:ArchiveClassesAtExit={_HOME / 'tools.jsa'}")
    subprocess.run(command, capture_output=True)


def _pom() -> str:
    lines = ["<project><modelVersion>4.0.0</modelVersion>"]
    lines.append("<groupId>interop</groupId><artifactId>interop</artifactId><version>1</version><dependencies>")
    for group, artifact, version in _MODULES:
        lines.append(
            f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
            f"<version>{version}</version></dependency>"
        )
    return "\n".join([*lines, "</dependencies></project>", ""])


def java(*arguments: str, heap: str = "256m", level: str = "WARN", classes: Path | None = None) -> list[str]:
    """The command that runs ``arguments`` (a main class and what it is given) beside Kafka's jars."""
    home = install()
    path = f"{home / 'libs'}/*" if classes is None else f"{home / 'libs'}/*{os.pathsep}{classes}"
    archive = home / "tools.jsa"
    shared = [f"-XX:SharedArchiveFile={archive}"] if archive.is_file() else []
    log4j = [f"-Dlog4j2.configurationFile={home / 'log4j2.properties'}", f"-Dlevel={level}"]
    return ["java", f"-Xmx{heap}", *_JVM, *shared, *log4j, "-cp", path, *arguments]


def run_tool(
    main_class: str,
    *arguments: str,
    input: str | None = None,
    timeout: float = TOOL_TIMEOUT_S,
    classes: Path | None = None,
) -> Result:
    """Run a command line tool of Apache Kafka, or a class in the folder ``classes``, by its main class."""
    done = subprocess.run(
        java(main_class, *arguments, classes=classes),
        input=input,
        stdin=subprocess.DEVNULL if input is None else None,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return Result(done.stdout, done.stderr, done.returncode)


class ApacheKafka:
    """Runs Apache Kafka, broker and controller in one, over ``data_dir``; may be started again after it ended.

    Has the shape of ``BrokerProcess``; the ports stay the same from start to start.
    """

    def __init__(self, data_dir: Path, *properties: str, jvm: Sequence[str] = ()) -> None:
        """``properties``: lines of a server.properties file, which win; ``jvm``: options of java that win, too: ours
        make it start soon, not run fast."""
        self.data_dir = data_dir
        self.log = data_dir.with_name(data_dir.name + ".log")
        self.port = _free_port()
        self._controller_port = _free_port()
        self._settings = data_dir.with_name(data_dir.name + ".properties")
        self._properties = properties
        self._jvm = jvm
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> "ApacheKafka":
        self._write_settings()
        if not (self.data_dir / "meta.properties").is_file():
            self._format()
        with self.log.open("ab") as log:
            command = java(*self._jvm, "kafka.Kafka", str(self._settings), heap="512m", level="INFO")
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if not self.is_running() or time.monotonic() > deadline:
                if self.is_running():
                    self.kill()
                raise RuntimeError(f"Apache Kafka did not start: {self.log.read_text()[-4000:]}")
            time.sleep(0.2)
        return self

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self, timeout_s: float = 60) -> int:
        """End it as Ctrl-C does and return its exit status."""
        return self._end(signal.SIGTERM, timeout_s)

    def kill(self) -> None:
        """End it as a crash does."""
        self._end(signal.SIGKILL, 20)

    @staticmethod
    @contextlib.contextmanager
    def running(data_dir: Path, *properties: str, jvm: Sequence[str] = ()) -> Iterator["ApacheKafka"]:
        """Apache Kafka for the length of a ``with`` block."""
        kafka = ApacheKafka(data_dir, *properties, jvm=jvm).start()
        try:
            yield kafka
        finally:
            if kafka.is_running():
                kafka.stop()

    def _end(self, number: signal.Signals, timeout_s: float) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(timeout_s)

    def _write_settings(self) -> None:
        listeners = f"PLAINTEXT://{self.bootstrap},CONTROLLER://127.0.0.1:{self._controller_port}"
        settings = {
            **_PROPERTIES,
            "log.dirs": str(self.data_dir),
            "listeners": listeners,
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{self._controller_port}",
        }
        lines = [f"{name}={value}" for name, value in settings.items()]
        self._settings.write_text("\n".join([*lines, *self._properties, ""]))

    def _format(self) -> None:
        config = ("--config", str(self._settings), "--cluster-id", CLUSTER_ID)
        done = run_tool("kafka.tools.StorageTool", "format", *config, "--standalone", "--ignore-formatted")
        if done.status:
            raise RuntimeError(f"Apache Kafka's storage could not be formatted: {done.stdout}{done.stderr}")

    def _answers(self) -> bool:
        """Whether the broker serves clients: it does when it names itself in an answer to Metadata v1."""
        ask_for_no_topic = struct.pack(">hhihi", 3, 1, 1, -1, 0)
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
                connection.sendall(struct.pack(">i", len(ask_for_no_topic)) + ask_for_no_topic)
                head = connection.recv(12, socket.MSG_WAITALL)
        except OSError:
            return False
        return len(head) == 12 and int(struct.unpack(">iii", head)[2]) > 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
