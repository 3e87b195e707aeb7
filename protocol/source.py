"""Source text of a codec under construction: lines, constants, and runs of fields that share one ``struct`` call."""

from typing import Any

from .schema import Field, Struct, fields_of


class Source:
    """Source text under construction, and the constants that it refers to."""

    def __init__(self, version: int, flexible: bool) -> None:
        self.version = version
        self.flexible = flexible
        self.names: dict[str, Any] = {}
        self.lines: list[str] = []
        self.depth = 1
        self.run: list[tuple[str, str]] = []
        self._serial = 0

    def fresh(self, stem: str) -> str:
        self._serial += 1
        return f"{stem}{self._serial}"

    def constant(self, stem: str, value: Any) -> str:
        name = self.fresh(stem)
        self.names[name] = value
        return name

    def line(self, text: str) -> None:
        """Add a line of code, after whatever fixed fields are still waiting for their ``struct`` call."""
        self.flush()
        self.raw(text)

    def raw(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def fixed(self, format: str, expression: str) -> None:
        """Add a field of fixed size to the run of such fields."""
        self.run.append((format, expression))

    def flush(self) -> None:
        raise NotImplementedError

    def function(self, name: str) -> Any:
        self.flush()
        exec("\n".join(self.lines), self.names)
        return self.names[name]

    def present(self, message: type[Struct]) -> tuple[list[Field], list[Field]]:
        """Return the fields of this version: those in order, and the tagged ones."""
        here = [field for field in fields_of(message) if self.version in field.versions]
        tagged = sorted((field for field in here if field.tag is not None), key=lambda field: field.tag or 0)
        return [field for field in here if field.tag is None], tagged
