"""Admin calls that fail, by name: a request and its version each. ``prepare`` makes the topics and groups in them."""

import re
from typing import Any

from barnabas.protocol.messages.find_coordinator import FindCoordinatorRequest
from barnabas.protocol.messages.producer_ids import InitProducerIdRequest

from .answers import refusals, request
from .calls import (
    commit_request,
    make_topic,
    wait_until,
)
from .refused.building import DOTTED, EMPTY_GROUP, PARTITIONS, TOPIC
from .refused.cluster import CLUSTER
from .refused.configs import CONFIGS
from .refused.differences import OURS
from .refused.groups import GROUPS
from .refused.security import SECURITY
from .refused.topics import TOPICS
from .wire import Wire

CALLS = TOPICS | CONFIGS | CLUSTER | SECURITY | GROUPS

_DIRECTORY_ID = re.compile(r"directoryId=[\w-]{22}")


def prepare(wire: Wire) -> None:
    """Make the topics and the group that the calls name."""
    topic = make_topic(wire, PARTITIONS, TOPIC)
    make_topic(wire, 1, DOTTED)
    # Apache Kafka makes the topics of its coordinators when they are asked for, and is not at once ready then.
    coordinators = [request(FindCoordinatorRequest, key_type=kind, coordinator_keys=[EMPTY_GROUP]) for kind in (0, 1)]
    wait_until(lambda: not any(map(refusals, (wire.call(asked, 6) for asked in coordinators))))
    wait_until(lambda: not refusals(wire.call(commit_request(EMPTY_GROUP, topic, (0, 0)), 10)))
    begun = request(InitProducerIdRequest, transactional_id="refused-calls", transaction_timeout_ms=60_000)
    wait_until(lambda: not refusals(wire.call(begun, 5)))


def answers(wire: Wire) -> dict[str, list[list[Any]]]:
    """Return the errors of every call, as pairs of name and text."""
    return {
        name: [[refusal.code.name, _lasting(refusal.text)] for refusal in refusals(wire.call(*call))]
        for name, call in CALLS.items()
    }


def _lasting(text: str | None) -> str | None:
    """Return what is the same in each cluster."""
    return None if text is None else _DIRECTORY_ID.sub("directoryId=...", text)


def expected(of_kafka: dict[str, list[list[Any]]]) -> dict[str, list[list[Any]]]:
    """Return what Barnabas has to answer where Kafka answers ``of_kafka``."""
    ours = {name: [[code.name, text]] for name, (_, code, text) in OURS.items()}
    return {**of_kafka, **ours}
