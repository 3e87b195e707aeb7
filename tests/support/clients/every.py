"""The clients that the conformance tests use, all with one face."""

from collections.abc import Sequence

import pytest

from .aio import Aiokafka
from .confluent import Confluent
from .contract import Client, Library
from .kafka_python import KafkaPython
from .kcat import Kcat

LIBRARIES: list[Library] = [KafkaPython(), Aiokafka(), Confluent()]
CLIENTS: list[Client] = [*LIBRARIES, Kcat()]
BY_NAME: dict[str, Client] = {client.name: client for client in CLIENTS}


def short_with(clients: Sequence[Client], *names: str) -> list[object]:
    """Parametrize by all the clients; the short form has only those that are named."""
    return [pytest.param(c, marks=[] if c.name in names else pytest.mark.slow) for c in clients]
