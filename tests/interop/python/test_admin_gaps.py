"""Every call that an admin client has is in a test here, or is left out for a reason."""

import ast
import inspect
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from confluent_kafka.admin import AdminClient
from kafka import KafkaAdminClient

SASL = "authentication is a later issue"
FIXTURE = "the fixture calls it"

# The name of the fixture, which is that of the variable in every test; the class; what is left out.
CLIENTS = [
    (
        "kafka_python",
        KafkaAdminClient,
        {"close": FIXTURE},
    ),
    ("aiokafka", AIOKafkaAdminClient, {"start": FIXTURE, "close": FIXTURE}),
    ("confluent", AdminClient, {"set_sasl_credentials": SASL}),
]


def _used(client: str) -> set[str]:
    """The names of the methods that the tests beside this one take from the variable ``client``."""
    nodes = [
        node for file in Path(__file__).parent.glob("test_*.py") for node in ast.walk(ast.parse(file.read_text()))
    ]
    taken = [node for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)]
    return {node.attr for node in taken if node.value.id == client}


@pytest.mark.parametrize(("client", "kind", "left_out"), CLIENTS, ids=[client for client, _, _ in CLIENTS])
def test_every_call_of_an_admin_client_is_tested_or_left_out(
    client: str, kind: type, left_out: dict[str, str]
) -> None:
    public = {name for name, _ in inspect.getmembers(kind, inspect.isroutine) if not name.startswith("_")}
    used = _used(client)

    assert public - used - set(left_out) == set()
    assert set(left_out) <= public - used, "what is left out exists, and is not tested"
