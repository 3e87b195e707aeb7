"""The tools that make load and measure: each must see as many records as it sent."""

import json

import pytest
from support.kafka_tools import Printed, Tools


def events(printed: Printed, name: str) -> list[dict[str, object]]:
    """What a verifiable client tells under ``name``."""
    told = [json.loads(line) for line in printed.lines]
    return [event for event in told if event["name"] == name]


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_the_performance_tools_count_what_they_sent(run: Tools, topic: str, codec: str) -> None:
    produced = run(
        f"kafka-producer-perf-test --topic {topic} --num-records 20000 --record-size 100 --throughput -1 "
        f"--command-property acks=all compression.type={codec}"
    )
    assert produced.status == 0
    assert produced.lines[-1].startswith("20000 records sent, ")
    assert run(f"kafka-get-offsets --topic {topic}").status == 0

    consumed = run(f"kafka-consumer-perf-test --topic {topic} --num-records 20000")

    assert consumed.status == 0
    assert consumed.lines[-1].split(", ")[4] == "20000"


def test_the_verifiable_clients_agree(run: Tools, topic: str) -> None:
    produced = run(f"kafka-verifiable-producer --topic {topic} --max-messages 100")
    (sent,) = events(produced, "tool_data")
    assert (sent["sent"], sent["acked"]) == (100, 100)
    assert len({(event["partition"], event["offset"]) for event in events(produced, "producer_send_success")}) == 100

    consumed = run(
        f"kafka-verifiable-consumer --topic {topic} --group-id {topic} --max-messages 100 --reset-policy earliest"
    )

    assert sum(int(str(event["count"])) for event in events(consumed, "records_consumed")) == 100
    assert {event["success"] for event in events(consumed, "offsets_committed")} == {True}


def test_a_record_comes_back_while_it_is_waited_for(run: Tools, topic: str) -> None:
    measured = run(f"kafka-e2e-latency --topic {topic} --num-records 20 --producer-acks all --record-size 100")

    assert measured.status == 0
    assert measured.lines[-2].startswith("Avg latency: ")
