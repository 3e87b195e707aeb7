"""SCRAM credentials (KIP-554): kept as what a server needs to check a password, never the password itself."""

import hashlib
import hmac
from collections.abc import Mapping

from ...protocol.errors import ErrorCode
from ...storage.catalog import Catalog, ScramCredential, ScramCredentialRemoved, ScramCredentialStored
from ..errors import ApiError

# Kafka's numbers of the mechanisms, with their hash functions and the least iterations (RFC 5802, ScramMechanism).
MECHANISMS: Mapping[int, str] = {1: "sha256", 2: "sha512"}
ITERATIONS_MIN, ITERATIONS_MAX = 4096, 16384


class ScramCredentials:
    """All credentials, by user and mechanism."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._credentials = {(stored.user, stored.mechanism): stored for stored in catalog.scram_credentials()}

    def users(self) -> list[str]:
        """Return who has credentials, by name."""
        return sorted({user for user, _ in self._credentials})

    def of(self, user: str) -> list[ScramCredential]:
        """Return a user's credentials, by mechanism."""
        return [found for mechanism in MECHANISMS if (found := self._credentials.get((user, mechanism))) is not None]

    def check_deletion(self, user: str, mechanism: int) -> None:
        """Raises ApiError: UNACCEPTABLE_CREDENTIAL, UNSUPPORTED_SASL_MECHANISM, RESOURCE_NOT_FOUND."""
        _check(user, mechanism)
        if (user, mechanism) not in self._credentials:
            raise ApiError(ErrorCode.RESOURCE_NOT_FOUND, "Attempt to delete a user credential that does not exist")

    def check_upsertion(self, user: str, mechanism: int, iterations: int) -> None:
        """Raises ApiError: UNACCEPTABLE_CREDENTIAL, UNSUPPORTED_SASL_MECHANISM."""
        _check(user, mechanism)
        if iterations < ITERATIONS_MIN:
            raise ApiError(ErrorCode.UNACCEPTABLE_CREDENTIAL, "Too few iterations")
        if iterations > ITERATIONS_MAX:
            raise ApiError(ErrorCode.UNACCEPTABLE_CREDENTIAL, "Too many iterations")

    def delete(self, user: str, mechanism: int) -> None:
        """Delete a credential that exists. Raises CatalogError."""
        self._catalog.commit(ScramCredentialRemoved(user, mechanism))
        del self._credentials[user, mechanism]

    def store(self, user: str, mechanism: int, iterations: int, salt: bytes, salted_password: bytes) -> None:
        """Store or replace a credential that was checked. Raises CatalogError."""
        digest = MECHANISMS[mechanism]
        client_key = hmac.digest(salted_password, b"Client Key", digest)
        stored_key = hashlib.new(digest, client_key).digest()
        server_key = hmac.digest(salted_password, b"Server Key", digest)
        credential = ScramCredential(user, mechanism, iterations, salt, stored_key, server_key)
        self._catalog.commit(ScramCredentialStored(credential))
        self._credentials[user, mechanism] = credential


def _check(user: str, mechanism: int) -> None:
    if not user:
        raise ApiError(ErrorCode.UNACCEPTABLE_CREDENTIAL, "Username must not be empty")
    if mechanism not in MECHANISMS:
        raise ApiError(ErrorCode.UNSUPPORTED_SASL_MECHANISM, "Unknown SCRAM mechanism")
