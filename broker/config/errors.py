"""What goes wrong with settings, told to whoever wrote them."""

from collections.abc import Iterable


class ConfigError(Exception):
    """One or more settings are wrong; ``str()`` has one line for each.

    A line names the setting, its value, where the value came from and what is allowed. ``names``: the setting of
    each line, nothing where that is not known.
    """

    def __init__(self, problems: Iterable[str], names: Iterable[str] = ()) -> None:
        self.problems = tuple(problems)
        self.names = tuple(names)
        super().__init__("\n".join(self.problems))


def wrong(name: str, value: str | None, origin: str, reason: str) -> str:
    """Return the line that says that ``value`` of setting ``name`` is refused.

    ``origin``: where the value stood ("KAFKA_NUM_PARTITIONS", "-c"); empty when the reader knows.
    ``reason``: the rest of the sentence, "must be at least 1".
    """
    place = f" (from {origin})" if origin else ""
    return f"{name}={'null' if value is None else value}{place} {reason}"
