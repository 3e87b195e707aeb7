"""The image and the compose file, on a real Docker engine: make docker-test."""

import os
import socket
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import kafka
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
from support.clients.contract import CODECS, Client, Record
from support.clients.every import CLIENTS
from support.clients.kafka_python import KafkaPython
from support.docker import IMAGE, PYTHON, Container, Stack, container, docker
from support.wire import Wire

from barnabas.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from barnabas.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not IMAGE, reason="make docker-test builds the image and runs these"),
]

KAFKA_PYTHON = Path(kafka.__file__).parent
# What a program in a container beside the broker does: ask, write, read; it prints where it was sent.
SIBLING = """
    import sys
    from kafka import KafkaConsumer, KafkaProducer
    from kafka.cluster import ClusterMetadata
    bootstrap, topic = sys.argv[1:]
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    producer.send(topic, b"from a sibling").get(timeout=20)
    consumer = KafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", group_id=topic, consumer_timeout_ms=20000
    )
    print(next(consumer).value.decode(), *sorted({f"{b.host}:{b.port}" for b in consumer._client.cluster.brokers()}))
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def sibling(network: str, bootstrap: str, topic: str) -> str:
    """Run SIBLING in a container of its own and return what it prints."""
    return str(
        docker(
            *("run", "--rm", "--network", network, "--volume", f"{KAFKA_PYTHON}:/clients/kafka:ro"),
            *("--env", "PYTHONPATH=/clients", "--no-healthcheck", "--entrypoint", PYTHON, IMAGE),
            *("-c", textwrap.dedent(SIBLING), bootstrap, topic),
        ).stdout
    )


def values(bootstrap: str, topic: str, count: int) -> list[bytes | None]:
    return [record.value for record in KafkaPython().read(bootstrap, topic, count)]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """The dev stack, up and healthy."""
    stack = Stack("barnabas-test", free_port())
    stack.down("-v")
    try:
        stack.up()
        yield stack
    finally:
        stack.down("-v")


@pytest.fixture
def volume(request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"barnabas-test-{os.getpid()}"
    docker("volume", "create", name)
    yield name
    docker("volume", "rm", name)


def test_compose_up_returns_within_seconds_with_a_healthy_broker(stack: Stack) -> None:
    stack.down()

    took_s = stack.up()

    print(f"\nup and healthy after {took_s:.1f} s")
    assert stack.broker.health() == "healthy"
    assert took_s < 10


@pytest.mark.parametrize("client", [pytest.param(client, id=client.name) for client in CLIENTS])
def test_every_client_on_the_host_is_told_localhost_and_can_write_and_read(client: Client, stack: Stack) -> None:
    if reason := client.missing():
        pytest.skip(reason)
    topic = f"host-{client.name}"

    told = client.brokers(stack.bootstrap)
    client.produce(stack.bootstrap, topic, [Record(b"value")])
    (received,) = client.read(stack.bootstrap, topic, 1)

    assert told == [("localhost", stack.port)]
    assert received.value == b"value"


def test_a_sibling_container_on_the_same_port_is_told_an_address_of_the_network(stack: Stack) -> None:
    said = sibling(stack.network, f"barnabas:{stack.port}", "sibling")

    inside = docker(
        "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", stack.broker.name
    ).stdout.strip()
    assert said.split() == ["from", "a", "sibling", f"{inside}:{stack.port}"]
    assert values(stack.bootstrap, "sibling", 1) == [b"from a sibling"]


@pytest.mark.parametrize("codec", CODECS[1:])
def test_the_image_has_every_codec_for_topics_that_ask_for_one(codec: str, stack: Stack) -> None:
    admin = KafkaAdminClient(bootstrap_servers=stack.bootstrap)
    admin.create_topics([NewTopic(codec, 1, 1, topic_configs={"compression.type": codec})])
    admin.close()
    # Snappy needs a library that kafka-python does not bring; the others come compressed and are compressed again.
    other = {"gzip": "zstd", "snappy": "lz4", "lz4": "gzip", "zstd": "lz4"}[codec]

    KafkaPython().produce(stack.bootstrap, codec, [Record(b"value" * 100)] * 10, codec=other)

    assert values(stack.bootstrap, codec, 10) == [b"value" * 100] * 10


def test_records_and_offsets_survive_down_and_up(stack: Stack) -> None:
    producer = KafkaProducer(bootstrap_servers=stack.bootstrap)
    for number in range(100):
        producer.send("kept", b"%d" % number)
    producer.flush()
    producer.close()
    consumer = KafkaConsumer(
        "kept",
        bootstrap_servers=stack.bootstrap,
        group_id="kept",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    first = next(consumer)
    consumer.commit()
    consumer.close()

    stack.down()
    stack.up()

    assert first.value == b"0"
    assert values(stack.bootstrap, "kept", 100) == [b"%d" % number for number in range(100)]
    consumer = KafkaConsumer("kept", bootstrap_servers=stack.bootstrap, group_id="kept", auto_offset_reset="earliest")
    assert next(consumer).value == b"1"
    consumer.close()


def test_what_was_acknowledged_survives_docker_kill(stack: Stack) -> None:
    KafkaPython().produce(stack.bootstrap, "killed", [Record(b"%d" % number) for number in range(1000)])

    docker("kill", "--signal", "KILL", stack.broker.name)
    stack.up()

    assert values(stack.bootstrap, "killed", 1000) == [b"%d" % number for number in range(1000)]


def test_docker_stop_ends_it_quickly_with_status_0_while_a_client_waits(stack: Stack) -> None:
    with Wire(stack.port) as client:
        # Versions that need no more than a topic's name and wait for half a minute.
        client.call(MetadataRequest(topics=[MetadataRequestTopic(name="waited-for")]), 4)
        partition = FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1 << 20)
        topic = FetchTopic(topic="waited-for", partitions=[partition])
        client.send(FetchRequest(max_wait_ms=30_000, min_bytes=1, topics=[topic]), 4)
        time.sleep(0.3)

        begun = time.monotonic()
        status = stack.broker.stop()
        took_s = time.monotonic() - begun
    stack.up()

    print(f"\nstopped after {took_s:.1f} s")
    assert status == 0
    assert took_s < 3


def test_it_runs_as_a_user_without_rights_on_a_read_only_root(stack: Stack) -> None:
    assert stack.broker.run("id", "-u").stdout.strip() == "10001"
    assert stack.broker.run("sh", "-c", "touch /opt/barnabas/x /usr/x", check=False).returncode != 0
    hardened = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
    with container(*hardened, IMAGE) as broker:
        broker.wait_until_healthy()


def test_any_other_user_can_run_it_too(volume: str) -> None:
    with container("--user", "23456", "--volume", f"{volume}:/var/lib/kafka/data", IMAGE) as broker:
        broker.wait_until_healthy()

        assert broker.run("id", "-u").stdout.strip() == "23456"


def test_two_containers_cannot_have_one_volume(volume: str) -> None:
    mounted = ("--volume", f"{volume}:/var/lib/kafka/data")
    with container(*mounted, IMAGE) as broker:
        broker.wait_until_healthy()

        second = docker("run", "--rm", *mounted, IMAGE, check=False)

        assert second.returncode == 1
        assert "in use" in second.stderr
        assert broker.stop() == 0

    assert "all is well" in docker("run", "--rm", *mounted, IMAGE, "check", "barnabas-data").stdout


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        (("-c", "num.partitions=none"), ()),
        ((), ("--env", "KAFKA_NUM_PARTITIONS=none")),
        ((), ("--env", "BARNABAS_NUM_PARTITIONS=none")),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line(arguments: tuple[str, ...], environ: tuple[str, ...]) -> None:
    done = docker("run", "--rm", *environ, IMAGE, *arguments, check=False)

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "num.partitions=none" in line
    assert "must be a 32-bit whole number" in line


# From the compose files that people have: Confluent's all-in-one, Kafka's own examples, Bitnami's documentation.
CONFLUENT = """
      KAFKA_NODE_ID: 1
      KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT'
      KAFKA_ADVERTISED_LISTENERS: 'PLAINTEXT://broker:29092,PLAINTEXT_HOST://localhost:{port}'
      KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: 1
      KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS: 0
      KAFKA_TRANSACTION_STATE_LOG_MIN_ISR: 1
      KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR: 1
      KAFKA_JMX_PORT: 9101
      KAFKA_JMX_HOSTNAME: localhost
      KAFKA_PROCESS_ROLES: 'broker,controller'
      KAFKA_CONTROLLER_QUORUM_VOTERS: '1@broker:29093'
      KAFKA_LISTENERS: 'PLAINTEXT://broker:29092,CONTROLLER://broker:29093,PLAINTEXT_HOST://0.0.0.0:{port}'
      KAFKA_INTER_BROKER_LISTENER_NAME: 'PLAINTEXT'
      KAFKA_CONTROLLER_LISTENER_NAMES: 'CONTROLLER'
      KAFKA_LOG_DIRS: '/tmp/kraft-combined-logs'
      KAFKA_NUM_PARTITIONS: 3
      CLUSTER_ID: 'MkU3OEVBNTcwNTJENDM2Qk'
"""
APACHE = """
      KAFKA_NODE_ID: 1
      KAFKA_PROCESS_ROLES: broker,controller
      KAFKA_LISTENERS: 'CONTROLLER://:29093,PLAINTEXT_HOST://:{port},PLAINTEXT://:29092'
      KAFKA_ADVERTISED_LISTENERS: 'PLAINTEXT_HOST://localhost:{port},PLAINTEXT://broker:29092'
      KAFKA_CONTROLLER_LISTENER_NAMES: CONTROLLER
      KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT
      KAFKA_CONTROLLER_QUORUM_VOTERS: 1@broker:29093
      KAFKA_INTER_BROKER_LISTENER_NAME: PLAINTEXT
      KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: 1
      KAFKA_NUM_PARTITIONS: 3
      CLUSTER_ID: '4L6g3nShT-eMCtK--X86sw'
"""
BITNAMI = """
      ALLOW_PLAINTEXT_LISTENER: 'yes'
      KAFKA_CFG_NODE_ID: 0
      KAFKA_CFG_PROCESS_ROLES: controller,broker
      KAFKA_CFG_LISTENERS: PLAINTEXT://:29092,CONTROLLER://:9093,EXTERNAL://:{port}
      KAFKA_CFG_ADVERTISED_LISTENERS: PLAINTEXT://broker:29092,EXTERNAL://localhost:{port}
      KAFKA_CFG_LISTENER_SECURITY_PROTOCOL_MAP: CONTROLLER:PLAINTEXT,EXTERNAL:PLAINTEXT,PLAINTEXT:PLAINTEXT
      KAFKA_CFG_CONTROLLER_QUORUM_VOTERS: 0@broker:9093
      KAFKA_CFG_CONTROLLER_LISTENER_NAMES: CONTROLLER
      KAFKA_CFG_NUM_PARTITIONS: 3
"""
USUAL = """
services:
  broker:
    image: {image}
    hostname: broker
    ports: ["127.0.0.1:{port}:{port}"]
    environment: {environment}
  application:
    image: {image}
    entrypoint: ["/bin/true"]
    healthcheck: {{disable: true}}
    depends_on: {{broker: {{condition: service_healthy}}}}
"""


@pytest.mark.parametrize("environment", [CONFLUENT, APACHE, BITNAMI], ids=["confluent", "apache", "bitnami"])
def test_the_environment_of_usual_compose_files_is_respected(environment: str) -> None:
    port = free_port()
    project = "barnabas-test-usual"
    file = USUAL.format(image=IMAGE, port=port, environment=environment.format(port=port))
    bootstrap = f"localhost:{port}"
    try:
        docker("compose", "-p", project, "-f", "-", "up", "-d", stdin=file)
        broker = Container(f"{project}-broker-1")

        KafkaPython().produce(bootstrap, "topic", [Record(b"value")])

        assert broker.health() == "healthy"  # or the application would not have been started
        assert KafkaPython().brokers(bootstrap) == [("localhost", port)]
        assert sibling(f"{project}_default", "broker:29092", "other").split()[-1] == "broker:29092"
        consumer = KafkaConsumer(bootstrap_servers=bootstrap)
        assert consumer.partitions_for_topic("topic") == {0, 1, 2}
        consumer.close()
    finally:
        docker("compose", "-p", project, "-f", "-", "down", "-v", stdin=file)


def test_the_health_check_asks_the_broker_itself(stack: Stack) -> None:
    healthy = stack.broker.run("healthy", check=False)
    docker("kill", "--signal", "STOP", stack.broker.name)
    stopped = stack.broker.run("healthy", check=False)
    docker("kill", "--signal", "CONT", stack.broker.name)

    assert healthy.returncode == 0
    assert stopped.returncode == 1


@pytest.mark.parametrize(
    "listeners", ["PLAINTEXT://127.0.0.1:19092", "PLAINTEXT://[::1]:19092", "A://localhost:19092"]
)
def test_the_health_check_finds_the_broker_wherever_it_listens(listeners: str) -> None:
    has_ipv6 = ("--sysctl", "net.ipv6.conf.lo.disable_ipv6=0")
    names = ("--env", "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP=A:PLAINTEXT,PLAINTEXT:PLAINTEXT")
    with container(*has_ipv6, *names, IMAGE, "--listeners", listeners) as broker:
        broker.wait_until_healthy()


def test_the_image_is_small_and_has_no_tools_to_build_with() -> None:
    size = int(docker("image", "inspect", "--format", "{{.Size}}", IMAGE).stdout)
    tools = docker("run", "--rm", "--entrypoint", "sh", IMAGE, "-c", "command -v pip pip3 gcc cc strip", check=False)

    print(f"\nthe image has {size / 1e6:.0f} MB")
    assert tools.stdout == ""
    assert size < 200_000_000


def test_the_image_tells_nothing_of_where_it_was_built() -> None:
    history = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", IMAGE).stdout
    left = docker("run", "--rm", "--entrypoint", "ls", IMAGE, "/etc/pip.conf", "/run/secrets", check=False)

    assert "://" not in history
    assert left.stdout == ""
