"""Apache Kafka's command line tools, called as their scripts are; what they print is made the same on every run."""

import re
import shlex
from dataclasses import dataclass

from support.apache_kafka import run_tool

SCRIPTS = {
    "kafka-acls": "org.apache.kafka.tools.AclCommand",
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-client-metrics": "org.apache.kafka.tools.ClientMetricsCommand",
    "kafka-cluster": "org.apache.kafka.tools.ClusterTool",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
    "kafka-delegation-tokens": "org.apache.kafka.tools.DelegationTokenCommand",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-e2e-latency": "org.apache.kafka.tools.EndToEndLatency",
    "kafka-features": "org.apache.kafka.tools.FeatureCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-groups": "org.apache.kafka.tools.GroupsCommand",
    "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-transactions": "org.apache.kafka.tools.TransactionsCommand",
    "kafka-verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
    "kafka-verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
}
SERVER_COMES_LAST = {"kafka-cluster"}  # its options belong to a subcommand

_NOISE = re.compile(r"\s+at [\w.$]+\(|\s+\.\.\. \d+ more|Caused by: |The consumer rebalance protocol \(KIP-848\)")
_LOG_LINE = re.compile(r"\[\d{4}-\d\d-\d\d [\d:,]+\] (.*?)( \([\w.]+\))?$")


@dataclass(frozen=True)
class Printed:
    """What a tool said: its lines without stack traces and times, white space made one, blank lines gone."""

    lines: list[str]
    errors: list[str]
    status: int


class Tools:
    """Runs the tools against ``bootstrap``, which they print as BOOTSTRAP."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    def __call__(self, command: str, input: str | None = None, timeout: float = 60) -> Printed:
        """Run a command line as a shell would take it, such as ``kafka-topics --list``, with --bootstrap-server."""
        script, *arguments = shlex.split(command)
        server = ["--bootstrap-server", self._bootstrap]
        arguments = [*arguments, *server] if script in SERVER_COMES_LAST else [*server, *arguments]
        done = run_tool(SCRIPTS[script], *arguments, input=input, timeout=timeout)
        return Printed(self._plain(done.stdout), self._plain(done.stderr), done.status)

    def _plain(self, text: str) -> list[str]:
        lines = [_LOG_LINE.sub(r"\1", line) for line in text.splitlines() if not _NOISE.match(line)]
        return [" ".join(line.replace(self._bootstrap, "BOOTSTRAP").split()) for line in lines if line.strip()]
