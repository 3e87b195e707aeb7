"""Numbers of things, in words for people."""


def counted(number: int, one: str, many: str = "") -> str:
    """Return "1 partition" or "2 partitions"; ``many``: the plural, where it is not ``one`` and an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"
