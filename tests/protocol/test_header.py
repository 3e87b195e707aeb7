import pytest
from support.messages import REQUESTS

from barnabas.protocol import codec
from barnabas.protocol.header import RequestHeader, response_header_is_tagged
from barnabas.protocol.schema import Request

# Kafka's ApiKeys: the first flexible version of each API (kafka-protocol.md 1).
FLEXIBLE_SINCE = {
    0: 9,
    1: 12,
    2: 6,
    3: 9,
    8: 8,
    9: 6,
    10: 3,
    11: 6,
    12: 4,
    13: 4,
    14: 4,
    15: 5,
    16: 3,
    17: None,
    18: 3,
    19: 5,
    20: 4,
    21: 2,
    22: 2,
    23: 4,
    24: 3,
    25: 3,
    26: 3,
    27: 1,
    28: 3,
    29: 2,
    30: 2,
    31: 2,
    32: 4,
    33: 2,
    34: 2,
    35: 2,
    36: 2,
    37: 2,
    38: 2,
    39: 2,
    40: 2,
    41: 2,
    42: 2,
    43: 2,
    44: 1,
    45: 0,
    46: 0,
    47: None,
    48: 1,
    49: 1,
    50: 0,
    51: 0,
    55: 0,
    57: 0,
    60: 0,
    61: 0,
    64: 0,
    65: 0,
    66: 0,
    68: 0,
    69: 0,
    71: 0,
    72: 0,
    74: 0,
    75: 0,
    76: 0,
    77: 0,
    78: 0,
    79: 0,
    80: 0,
    81: 0,
    83: 0,
    84: 0,
    85: 0,
    86: 0,
    87: 0,
    88: 0,
    89: 0,
    90: 0,
    91: 0,
    92: 0,
}


@pytest.mark.parametrize("request_type", REQUESTS, ids=lambda request: request.api_name())
def test_flexible_versions_have_a_tagged_response_header(request_type: type[Request]) -> None:
    low, high = request_type.versions
    tagged = [version for version in range(low, high + 1) if response_header_is_tagged(request_type, version)]
    since = FLEXIBLE_SINCE[request_type.api_key]
    never = request_type.api_key == 18 or since is None
    assert tagged == ([] if never else list(range(max(low, since), high + 1)))


def test_the_response_header_of_api_versions_is_never_tagged() -> None:
    """KIP-511: its answer is read before anything is known."""
    (api_versions,) = [request for request in REQUESTS if request.api_key == 18]
    assert api_versions.flexible.lowest == 3
    assert not any(response_header_is_tagged(api_versions, version) for version in range(5))


@pytest.mark.parametrize(("client_id", "bytes_"), [(None, b"\xff\xff"), ("", b"\0\0"), ("me", b"\0\x02me")])
@pytest.mark.parametrize("version", [1, 2])
def test_the_client_id_keeps_its_two_byte_length(client_id: str | None, bytes_: bytes, version: int) -> None:
    """In flexible versions too, unlike every other string (KIP-482)."""
    header = RequestHeader(request_api_key=3, request_api_version=13, correlation_id=7, client_id=client_id)
    encode = codec.encoder(RequestHeader, version, False)
    assert b"".join(encode(header)) == b"\0\x03\0\x0d\0\0\0\x07" + bytes_
