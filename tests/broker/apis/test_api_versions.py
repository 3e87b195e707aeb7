import struct

import pytest
from support.calls import as_of, both_ends, every_version
from support.process import BrokerProcess
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.api_versions import (
    ApiVersion,
    ApiVersionsRequest,
    ApiVersionsResponse,
    FinalizedFeatureKey,
    SupportedFeatureKey,
)

# Kafka 4.3's ranges of what is built (kafka-protocol.md 1); Produce from 0 on for old librdkafka (KAFKA-18659).
RANGES = {
    0: (0, 13),
    1: (4, 18),
    2: (1, 11),
    3: (0, 13),
    8: (2, 10),
    9: (1, 10),
    10: (0, 6),
    11: (0, 9),
    12: (0, 4),
    13: (0, 5),
    14: (0, 5),
    15: (0, 6),
    16: (0, 5),
    17: (0, 1),
    18: (0, 4),
    19: (2, 7),
    20: (1, 6),
    21: (0, 2),
    22: (0, 5),
    23: (2, 4),
    24: (0, 5),
    25: (0, 4),
    26: (0, 5),
    27: (1, 2),
    28: (0, 5),
    29: (1, 3),
    30: (1, 3),
    31: (1, 3),
    32: (1, 4),
    33: (0, 2),
    34: (1, 2),
    35: (1, 5),
    36: (0, 2),
    37: (0, 3),
    38: (1, 3),
    39: (1, 2),
    40: (1, 2),
    41: (1, 3),
    42: (0, 2),
    43: (0, 2),
    44: (0, 1),
    45: (0, 1),
    46: (0, 0),
    47: (0, 0),
    48: (0, 1),
    49: (0, 1),
    50: (0, 0),
    51: (0, 0),
    55: (0, 2),
    57: (0, 2),
    60: (0, 2),
    61: (0, 0),
    64: (0, 0),
    65: (0, 0),
    66: (0, 2),
    68: (0, 1),
    69: (0, 1),
    74: (0, 1),
    75: (0, 0),
    80: (0, 1),
    81: (0, 0),
}
NAMED = ApiVersionsRequest(client_software_name="a-client", client_software_version="1.0-rc.1")


@every_version(ApiVersionsRequest)
def test_the_ranges_of_what_is_built_are_offered(wire: Wire, version: int) -> None:
    expected = ApiVersionsResponse(
        api_keys=[ApiVersion(api_key=key, min_version=low, max_version=high) for key, (low, high) in RANGES.items()],
        # Clients before v4 do not understand that a feature may be off (KAFKA-17492).
        supported_features=[
            *([SupportedFeatureKey(name="group.version", min_version=0, max_version=1)] if version >= 4 else []),
            SupportedFeatureKey(name="metadata.version", min_version=7, max_version=30),
            *([SupportedFeatureKey(name="transaction.version", max_version=2)] if version >= 4 else []),
        ],
        finalized_features_epoch=0,
        finalized_features=[
            FinalizedFeatureKey(name="group.version", max_version_level=1, min_version_level=1),
            FinalizedFeatureKey(name="metadata.version", max_version_level=30, min_version_level=30),
            FinalizedFeatureKey(name="transaction.version", max_version_level=2, min_version_level=2),
        ],
    )
    assert wire.call(NAMED, version) == as_of(expected, version)


@pytest.mark.parametrize("version", [5, 99, 0x7FFF, -1])
def test_a_version_from_the_future_is_answered_in_version_0_with_the_range(wire: Wire, version: int) -> None:
    body = b"\xff\x00 something that nobody can read"
    frame = struct.pack(">hhih", 18, version, 77, -1) + body
    wire.socket.sendall(struct.pack(">i", len(frame)) + frame)

    answer = wire.receive_frame()

    assert answer == struct.pack(">ihihhh", 77, ErrorCode.UNSUPPORTED_VERSION, 1, 18, 0, 4)
    assert wire.call(NAMED, 4).error_code == 0


@both_ends(ApiVersionsRequest, since=3)
@pytest.mark.parametrize("name", ["", "-a", "a-", "a b", "a_b", "ä", "a\n", "a/b"])
def test_software_that_names_itself_badly_is_refused(wire: Wire, version: int, name: str) -> None:
    refusal = as_of(ApiVersionsResponse(error_code=ErrorCode.INVALID_REQUEST), version)
    request = ApiVersionsRequest(client_software_name=name, client_software_version="1")
    assert wire.call(request, version) == refusal
    request = ApiVersionsRequest(client_software_name="a", client_software_version=name)
    assert wire.call(request, version) == refusal


@pytest.mark.parametrize("version", [0, 1, 2])
def test_before_version_3_software_has_no_name(wire: Wire, version: int) -> None:
    assert wire.call(ApiVersionsRequest(), version).error_code == 0


@pytest.mark.parametrize(
    ("key", "version"),
    [(4, 0), (5, 0), (6, 0), (7, 0), (71, 0), (999, 0), (-1, 0), (0, 2), (0, 14), (1, 3), (3, 14), (3, -1), (-1, -1)],
)
def test_what_is_not_supported_closes_the_connection(broker: BrokerProcess, key: int, version: int) -> None:
    with Wire(broker.port) as wire:
        frame = struct.pack(">hhih", key, version, 1, -1) + bytes(20)
        wire.socket.sendall(struct.pack(">i", len(frame)) + frame)
        with pytest.raises(ConnectionError):
            wire.receive_frame()


def test_a_client_without_an_id_is_served(wire: Wire) -> None:
    frame = struct.pack(">hhih", 18, 0, 5, -1)
    wire.socket.sendall(struct.pack(">i", len(frame)) + frame)
    assert wire.receive_frame().startswith(struct.pack(">ih", 5, 0))
