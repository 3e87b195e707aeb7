"""Values are read and written as Kafka reads and writes them."""

import pytest

from barnabas.broker.config.setting import (
    ConfigSource,
    ConfigType,
    Setting,
    Validator,
    at_least,
    between,
    list_of,
    one_of,
)


def setting(type: ConfigType, validator: Validator | None = None) -> Setting:
    return Setting("name", type, None, "", validator)


@pytest.mark.parametrize(
    ("type", "text", "value"),
    [
        (ConfigType.BOOLEAN, "true", True),
        (ConfigType.BOOLEAN, " FALSE ", False),
        (ConfigType.INT, "2147483647", 2147483647),
        (ConfigType.INT, "-2147483648", -2147483648),
        (ConfigType.INT, " +5 ", 5),
        (ConfigType.SHORT, "32767", 32767),
        (ConfigType.LONG, "9223372036854775807", 9223372036854775807),
        (ConfigType.DOUBLE, "0.5", 0.5),
        (ConfigType.DOUBLE, "1.7976931348623157E308", 1.7976931348623157e308),
        (ConfigType.STRING, "  as it is ", "as it is"),
        (ConfigType.LIST, "", ()),
        (ConfigType.LIST, "a , b,c", ("a", "b", "c")),
        (ConfigType.CLASS, "org.example.Thing", "org.example.Thing"),
        (ConfigType.PASSWORD, "secret", "secret"),
    ],
)
def test_a_value_of_each_type_is_read(type, text, value):
    assert setting(type).parse(text) == value


@pytest.mark.parametrize(
    ("type", "text", "words"),
    [
        (ConfigType.BOOLEAN, "yes", "must be true or false"),
        (ConfigType.BOOLEAN, "", "must be true or false"),
        (ConfigType.INT, "2147483648", "must be a 32-bit whole number"),
        (ConfigType.INT, "1_000", "must be a 32-bit whole number"),
        (ConfigType.INT, "1.0", "must be a 32-bit whole number"),
        (ConfigType.INT, "٣", "must be a 32-bit whole number"),
        (ConfigType.INT, "9" * 5000, "must be a 32-bit whole number"),
        (ConfigType.SHORT, "32768", "must be a 16-bit whole number"),
        (ConfigType.LONG, "9223372036854775808", "must be a 64-bit whole number"),
        (ConfigType.LONG, "", "must be a 64-bit whole number"),
        (ConfigType.DOUBLE, "half", "must be a number"),
        (ConfigType.DOUBLE, "1_0", "must be a number"),
    ],
)
def test_what_is_not_of_the_type_is_refused_in_words(type, text, words):
    with pytest.raises(ValueError, match=f"^{words}$"):
        setting(type).parse(text)


@pytest.mark.parametrize(
    ("type", "validator", "good", "bad", "words"),
    [
        (ConfigType.INT, at_least(1), ["1", "7"], ["0", "-1"], "must be a 32-bit whole number, at least 1"),
        (
            ConfigType.DOUBLE,
            between(0, 1),
            ["0", "1", "0.5"],
            ["-0.1", "1.1", "nan"],
            "must be a number between 0 and 1",
        ),
        (ConfigType.STRING, one_of("a", "b"), ["a"], ["A", "", "c"], "must be text: one of a, b"),
        (
            ConfigType.LIST,
            list_of("a", "b"),
            ["", "a", "b,a", "a,a"],
            ["c", "a,"],
            "must be a comma-separated list of a, b",
        ),
        (
            ConfigType.LIST,
            list_of(empty_allowed=False),
            ["x", "x,y", "x,x"],
            ["", "x,,y"],
            "must be a comma-separated list of names, at least one",
        ),
    ],
)
def test_a_rule_takes_what_it_allows_and_says_what_that_is(type, validator, good, bad, words):
    for text in good:
        setting(type, validator).parse(text)
    for text in bad:
        with pytest.raises(ValueError) as caught:
            setting(type, validator).parse(text)
        assert str(caught.value) == words


@pytest.mark.parametrize(
    ("type", "value", "text"),
    [
        (ConfigType.BOOLEAN, True, "true"),
        (ConfigType.LONG, 9223372036854775807, "9223372036854775807"),
        (ConfigType.DOUBLE, 0.5, "0.5"),
        (ConfigType.DOUBLE, 1.7976931348623157e308, "1.7976931348623157E308"),
        (ConfigType.LIST, (), ""),
        (ConfigType.LIST, ("a", "b"), "a,b"),
        (ConfigType.STRING, None, None),
        (ConfigType.PASSWORD, "secret", None),
    ],
)
def test_a_value_is_written_as_kafka_writes_it_and_a_secret_not_at_all(type, value, text):
    assert setting(type).format(value) == text


def test_types_and_sources_bear_the_numbers_of_the_wire():
    assert [type.value for type in ConfigType] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert (ConfigType.LIST, ConfigType.CLASS, ConfigType.PASSWORD) == (7, 8, 9)
    assert [source.value for source in ConfigSource] == [1, 2, 3, 4, 5, 6, 7, 8]
