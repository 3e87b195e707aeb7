from barnabas.protocol.messages.api_versions import ApiVersionsRequest
from support.wire import Wire


def test_api_versions(wire: Wire) -> None:
    for version in range(5):
        response = wire.call(ApiVersionsRequest(client_software_name="a", client_software_version="b"), version)
        assert response.error_code == 0
        assert {api.api_key: (api.min_version, api.max_version) for api in response.api_keys}[0] == (0, 13)
