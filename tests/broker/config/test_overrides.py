"""One resource's own settings over what holds for all."""

import pytest

from barnabas.broker.config import ConfigError, ConfigSource, ConfigType, Setting
from barnabas.broker.config.overrides import Overrides, parse_overrides
from barnabas.broker.config.table import suggestion

SETTINGS = {
    "size": Setting("size", ConfigType.INT, 7, "How large."),
    "word": Setting("word", ConfigType.PASSWORD, None, "What nobody may see."),
}
DEFAULTS = {"size": 7, "word": None}


def made(**overrides: str) -> Overrides:
    return Overrides(SETTINGS, overrides, DEFAULTS, ConfigSource.GROUP, "group")


def test_an_override_stands_over_the_default():
    assert (made().int("size"), made(size="8").int("size")) == (7, 8)


def test_an_override_is_told_with_where_it_comes_from():
    size, word = made(size=" 8 ", word="secret").entries()
    assert (size.value, size.source, size.synonyms) == ("8", ConfigSource.GROUP, (("size", "8", ConfigSource.GROUP),))
    assert (word.value, word.is_sensitive, word.synonyms[0].value) == (None, True, None)
    assert [(entry.source, entry.synonyms) for entry in made().entries()] == [(ConfigSource.DEFAULT, ())] * 2


def test_a_wrong_override_is_told_and_the_others_with_it():
    with pytest.raises(ConfigError) as caught:
        made(size="big", siz="1")
    assert caught.value.problems == (
        "Unknown group config name: siz; did you mean size?",
        "Invalid value big for configuration size: Not a number of type INT",
    )


def test_a_few_of_many_unknown_names_are_told():
    problems: dict[str, str] = {}
    unknown = {f"siz{number:04d}": "1" for number in range(5000)}
    assert parse_overrides(SETTINGS, unknown | {"siz": "1", "size": "8"}, problems, "group") == {"size": 8}
    assert list(problems.values()) == [
        "Unknown group config name: siz; did you mean size?",
        "Unknown group config name: siz0000",
        "Unknown group config name: siz0001",
    ]


def test_a_long_name_is_not_compared_with_those_of_settings():
    assert suggestion(100 * "x", {99 * "x": SETTINGS["size"]}) != ""
    assert suggestion(101 * "x", {100 * "x": SETTINGS["size"]}) == ""


def test_null_is_no_value():
    problems: dict[str, str] = {}
    assert parse_overrides(SETTINGS, {"size": None}, problems, "group") == {}
    assert problems == {"size": "Null value not supported for group configs: size"}
