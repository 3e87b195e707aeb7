"""SaslHandshake and SaslAuthenticate (KIP-43, KIP-152, KIP-368)."""

from ..primitives import data, int16, int64, string
from ..schema import Request, Response, since


class SaslHandshakeRequest(Request, api_key=17, versions="0-1", flexible="none"):
    """Choose a mechanism."""

    mechanism: string = since("0+")


class SaslHandshakeResponse(Response, answers=SaslHandshakeRequest):
    """The mechanisms that are enabled."""

    error_code: int16 = since("0+")
    mechanisms: list[string] = since("0+")


class SaslAuthenticateRequest(Request, api_key=36, versions="0-2", flexible="2+"):
    """A token of the mechanism's exchange."""

    auth_bytes: data = since("0+")


class SaslAuthenticateResponse(Response, answers=SaslAuthenticateRequest):
    """The answer to a token; ``session_lifetime_ms`` 0: the session does not expire."""

    error_code: int16 = since("0+")
    error_message: string | None = since("0+")
    auth_bytes: data = since("0+")
    session_lifetime_ms: int64 = since("1+")
