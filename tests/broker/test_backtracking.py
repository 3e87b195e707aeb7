import contextlib
import time
import warnings

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas.broker import patterns
from barnabas.broker.backtracking import HINT, NAME_CHARS_MAX, REGEX_CHARS_MAX, BoundedPattern
from barnabas.broker.errors import ApiError
from barnabas.protocol.errors import ErrorCode

ORDINARY = [
    "orders",
    "^orders.*",
    "orders-.*",
    ".*",
    ".+",
    ".*-dlq",
    ".*-events-.*",
    "(eu|us)-[a-z]+",
    "([a-z]+)-([a-z]+)",
    "(.*)-events-(.*)",
    "\\w+-\\w+-\\w+",
    "[^.]+\\.[^.]+\\.[^.]+",
    "^(orders|payments)-(eu|us)-.*$",
    "(?:orders|payments)\\.v[0-9]+",
    "topic-[0-9]{1,3}",
    "[a-z]+-[a-z]+",
    "(?i)ORDERS.*",
    "(orders-)+x?",
    "\\Aorders\\b.*",
    ".*?-dlq",
    "[^_].*",
    "(?is)ORDERS.*",
    "(?i:ORDERS).*",
    "(?m-i:orders).*",
    "[(?u)]rders",
    "[]\\](?u)]?orders",
    "\\(?orders",
    "a{0}orders.{0,1000}",
]
TOO_LONG = [
    "(a+)+b",
    "(a|ab)*c",
    "a*a*a*b",
    ".*orders.*events.*",
    ".*-v[0-9]+",
    "[ab]*[ab]*c",
    "(?i)[a-z]+A[a-z]+",
    "(?i:[^A]+)a[^A]+a[^A]+",
    "[a-z]*n[a-z]*",
    ".*.*.*x",
    "(a?){40}a",
    "(.*)*",
    "((a{1,100}){1,100}){1,100}",
    "(x+x+)+y",
]
NOT_IN_RE2 = ["(a)\\1", "a(?=b)", "(?<!a)b", "a++", "(?>a)", "(?x) a", "(?x: a)", "a\\Z", "\\u0061", "(?(1)a|b)"]
NOT_IN_RE2 += [
    "(?u)a",
    "(?a)b",
    "(?t)a",
    "(?L)a",
    "(?u:a)",
    "(?a:b)",
    "(?iu)a",
    "(?i-x:a)",
    "(?#comment)a",
    "(?",
    "(?i",
]
NOT_IN_RE2 += ["a{1001}", "a{0,1001}", "a{1001,}", "(a{2000}|b)"]
INVALID = [
    "(",
    "[a",
    "a{2,1}",
    "*",
    "a)",
    "\\p{L}",
    "[[:alpha:]]",
    "\\Qa\\E",
    "a{1001}" * 2 + "{99999999999}",
    "(" * 5000,
]
NAMES = ["orders", "orders-eu-1", "payments-us-x", "a-events-b", "x-dlq", "topic-17", "orders.v2", "ORDERS", "", "_x"]


def refusal(regex: str) -> str:
    with pytest.raises(ApiError) as refused:
        BoundedPattern(regex)
    assert refused.value.code is ErrorCode.INVALID_REGULAR_EXPRESSION
    return str(refused.value)


@pytest.mark.parametrize("regex", ORDINARY)
def test_ordinary_patterns_match_as_in_re2(regex):
    ours, theirs = BoundedPattern(regex), re2.compile(regex)
    for name in NAMES:
        assert ours.fullmatch(name) == (theirs.fullmatch(name) is not None)


@pytest.mark.parametrize("regex", TOO_LONG)
def test_a_pattern_that_can_take_too_long_is_refused_with_the_way_out(regex):
    said = refusal(regex)
    assert said.startswith(f"SubscribedTopicRegex `{regex}` is not a valid regular expression: it can take too long")
    assert HINT in said
    assert "pip install google-re2" in said


@pytest.mark.parametrize("regex", NOT_IN_RE2 + INVALID)
def test_syntax_that_is_not_that_of_re2_or_not_known_without_it_is_refused(regex):
    assert HINT in refusal(regex)


@pytest.mark.parametrize("regex", NOT_IN_RE2)
def test_re2_refuses_the_same_syntax(regex):
    options = re2.Options()
    options.log_errors = False
    with pytest.raises(re2.error):
        re2.compile(regex, options)


@pytest.mark.parametrize(
    "regex",
    [
        "|".join(["a{999000}b"] * 40),
        "|".join(["a{1000}b"] * 400),
        "|".join(["(a|b){1000}c"] * 300),
        "(((a{0,1000}){0,1000}){0,1000}){0,1000}",
        "(" * 50 + "a{1000}" + "{1000})" * 50,
        "[" * 4096,
        "a" * 1_000_000,
    ],
    ids=lambda regex: f"{regex[:12]}x{len(regex)}",
)
def test_a_pattern_is_accepted_or_refused_at_once(regex):
    begin = time.process_time()
    with contextlib.suppress(ApiError):
        BoundedPattern(regex)
    assert time.process_time() - begin < 0.5


def test_a_pattern_is_limited_in_length():
    assert BoundedPattern("a" * REGEX_CHARS_MAX)
    assert f"more than {REGEX_CHARS_MAX} characters" in refusal("a" * (REGEX_CHARS_MAX + 1))


@pytest.mark.parametrize("regex", [*ORDINARY, "(aa|a)(a|aa)[ab]{0,100}c", ".*aa.*", "[a]+-[a]+-[a]+"])
def test_the_longest_name_is_refused_or_matched_at_once(regex):
    pattern = BoundedPattern(regex)
    for char in "aoX-":
        for end in ("", "c", "!"):
            name = char * (NAME_CHARS_MAX - len(end)) + end
            begin = time.process_time()
            pattern.fullmatch(name)
            assert (
                time.process_time() - begin < 0.5
            )  # a thousand times that of a slow machine; backtracking takes for ever


def test_a_longer_name_is_held_to_the_same_bound():
    pattern = BoundedPattern("[a]*")
    assert pattern.fullmatch("a" * NAME_CHARS_MAX)
    with pytest.raises(ApiError, match="too long for a name of 30000 characters"):
        pattern.fullmatch("a" * 30_000)
    lines = BoundedPattern(".*a.*")
    assert not lines.fullmatch("aa\n" * 5)
    with pytest.raises(ApiError, match="too long"):
        lines.fullmatch("a" * 240 + "\n")


PIECES = st.sampled_from(
    [
        "a",
        "b",
        "-",
        ".",
        "[ab]",
        "[^a]",
        "(a|b)",
        "(ab|a)",
        "(?:a-)",
        "a*",
        "b+",
        ".*",
        "a?",
        "a{1,2}",
        "(ab)*",
        "^",
        "$",
        "\\d",
        "\\w+",
    ]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(PIECES, max_size=6).map("".join), st.text("ab-1", max_size=8))
def test_what_is_taken_matches_as_re2_does(regex, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            ours = BoundedPattern(regex)
        except ApiError:
            return
    assert ours.fullmatch(name) == (re2.compile(regex).fullmatch(name) is not None)


def test_patterns_fall_back_where_google_re2_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "re2", None)
    assert patterns.resolve(["orders-.*"], NAMES) == {"orders-.*": frozenset({"orders-eu-1"})}
    patterns.check(".*-dlq")
    with pytest.raises(ApiError, match="pip install google-re2"):
        patterns.check("(a+)+b")


def test_thousands_of_topics_are_matched_in_one_turn(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "re2", None)
    names = [f"{i:04}{'-' * 238}-events" for i in range(5000)]
    regexes = ["^orders-.*", "(eu|us)-[a-z]+", ".*-events-.*", ".*-.*-events-.*", "[-]*[-]*[-]*-x"]
    begin = time.process_time()
    assert not any(patterns.resolve(regexes, names).values())
    assert time.process_time() - begin < 2
