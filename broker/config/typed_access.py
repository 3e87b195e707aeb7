"""Reading a setting as the type it has, without casts at the place of use."""

import builtins
from collections.abc import Mapping

from .setting import Value


class TypedAccess:
    """Settings by name. Every reader raises KeyError for an unknown name and TypeError for another type."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = values

    def int(self, name: str) -> builtins.int:
        """Return a setting of type INT, SHORT or LONG that has a value."""
        value = self._values[name]
        if type(value) is builtins.int:
            return value
        raise _mistyped(name, value, "int")

    def optional_int(self, name: str) -> builtins.int | None:
        """Return a setting of type INT, SHORT or LONG; None for Kafka's null."""
        return None if self._values[name] is None else self.int(name)

    def bool(self, name: str) -> builtins.bool:
        """Return a setting of type BOOLEAN."""
        value = self._values[name]
        if type(value) is builtins.bool:
            return value
        raise _mistyped(name, value, "bool")

    def double(self, name: str) -> float:
        """Return a setting of type DOUBLE."""
        value = self._values[name]
        if type(value) is float:
            return value
        raise _mistyped(name, value, "double")

    def string(self, name: str) -> str:
        """Return a setting of type STRING, CLASS or PASSWORD that has a value."""
        value = self._values[name]
        if type(value) is str:
            return value
        raise _mistyped(name, value, "string")

    def optional_string(self, name: str) -> str | None:
        """Return a setting of type STRING, CLASS or PASSWORD; None for Kafka's null."""
        return None if self._values[name] is None else self.string(name)

    def list(self, name: str) -> tuple[str, ...]:
        """Return a setting of type LIST; Kafka's null is an empty list."""
        value = self._values[name]
        if value is None:
            return ()
        if type(value) is tuple:
            return value
        raise _mistyped(name, value, "list")


def _mistyped(name: str, value: Value, wanted: str) -> TypeError:
    return TypeError(f"{name} is {type(value).__name__}, read as {wanted}")
