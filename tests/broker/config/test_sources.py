"""Where settings come from, and which place wins."""

import pytest

from barnabas.broker.config import ConfigError, Given, read_sources
from barnabas.broker.config.sources import CLUSTER_IDS, parse_properties, setting_named_by


def properties(text: str) -> list[tuple[str, str]]:
    return [(key, value) for key, value, _ in parse_properties(text)]


@pytest.fixture
def write(tmp_path):
    def write_file(data: bytes | str) -> str:
        path = tmp_path / "server.properties"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return str(path)

    return write_file


def test_a_flag_beats_ours_beats_kafkas_variables_beat_the_file(write):
    name, path = "num.partitions", write("num.partitions=1\n")
    environ: dict[str, str] = {}
    seen = [read_sources((), environ, path).given[name]]
    for variable in ("KAFKA_NUM_PARTITIONS", "KAFKA_CFG_NUM_PARTITIONS", "BARNABAS_NUM_PARTITIONS"):
        environ[variable] = str(len(environ) + 2)
        seen.append(read_sources((), environ, path).given[name])
    seen.append(read_sources([(name, Given("5", "-c"))], environ, path).given[name])
    assert seen == [
        Given("1", f"{path} line 1"),
        Given("2", "KAFKA_NUM_PARTITIONS"),
        Given("3", "KAFKA_CFG_NUM_PARTITIONS"),
        Given("4", "BARNABAS_NUM_PARTITIONS"),
        Given("5", "-c"),
    ]


def test_the_later_of_two_equal_flags_wins():
    flags = [("num.partitions", Given("1", "-c")), ("num.partitions", Given("2", "-c"))]
    assert read_sources(flags).given == {"num.partitions": Given("2", "-c")}


def test_nothing_given_is_nothing_read():
    assert read_sources() == ({}, [], None)


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("NUM_PARTITIONS", "num.partitions"),
        ("LOG_RETENTION_MS", "log.retention.ms"),
        ("producer__byte__rate", "producer_byte_rate"),
        ("SOME___THING", "some-thing"),
        ("A_B__C___D", "a.b_c-d"),
    ],
)
def test_a_variable_names_a_setting_by_the_rules_of_kafkas_image(variable, name):
    assert setting_named_by(variable) == name


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("BARNABAS_NUM_PARTITIONS", "num.partitions"),
        ("BARNABAS_DATA_DIR", "log.dirs"),
        ("BARNABAS_ACKNOWLEDGE_DURABLE", "barnabas.acknowledge.durable"),
        ("BARNABAS_BARNABAS_ACKNOWLEDGE_DURABLE", "barnabas.acknowledge.durable"),
        ("KAFKA_BARNABAS_ACKNOWLEDGE_DURABLE", "barnabas.acknowledge.durable"),
    ],
)
def test_our_own_settings_have_variables_too(variable, name):
    assert list(read_sources((), {variable: "x"}).given) == [name]


@pytest.mark.parametrize(
    "variable",
    [
        "KAFKA_VERSION",
        "KAFKA_HEAP_OPTS",
        "KAFKA_LOG4J_OPTS",
        "KAFKA_OPTS",
        "KAFKA_JMX_OPTS",
        "KAFKA_JVM_PERFORMANCE_OPTS",
        "KAFKA_GC_LOG_OPTS",
        "KAFKA_LOG4J_ROOT_LOGLEVEL",
        "KAFKA_LOG4J_LOGGERS",
        "KAFKA_TOOLS_LOG4J_LOGLEVEL",
        "KAFKA_JMX_HOSTNAME",
        "BARNABAS_CONFIG",
        "BARNABAS_LOG_LEVEL",
        "PATH",
        "BARNABAS_SERVICE_HOST",
        "BARNABAS_SERVICE_PORT",
        "BARNABAS_SERVICE_PORT_CLIENTS",
        "BARNABAS_PORT_9092_TCP_ADDR",
        "KAFKA_PORT_9092_TCP",
    ],
)
def test_a_variable_that_is_no_setting_by_intention_is_passed_over_in_silence(variable):
    assert read_sources((), {variable: "x"}) == ({}, [], None)


def test_a_port_in_the_environment_is_a_listener_on_all_interfaces():
    listener = Given("PLAINTEXT://:9193", "BARNABAS_PORT")
    variables = {"BARNABAS_PORT": " 9193 ", "KAFKA_LISTENERS": "PLAINTEXT://:1"}
    assert read_sources((), variables) == ({"listeners": listener}, [], None)
    flag = ("listeners", Given("PLAINTEXT://:2", "--port"))
    assert read_sources([flag], variables).given == dict([flag])


@pytest.mark.parametrize("name", ["BARNABAS_PORT", "KAFKA_PORT"])
def test_the_port_that_kubernetes_sets_for_a_service_is_none_to_listen_on(name):
    assert read_sources((), {name: "tcp://10.96.0.17:9092"}) == ({}, [], None)


@pytest.mark.parametrize("value", ["many", "-1", "9092/tcp", "\u0663", "0x10"])
def test_a_port_in_the_environment_that_is_no_number_is_ignored_and_mentioned(value):
    assert read_sources((), {"BARNABAS_PORT": value}) == (
        {},
        [f"BARNABAS_PORT is ignored: {value} is not a number"],
        None,
    )


def test_a_port_and_listeners_in_the_environment_contradict_each_other():
    with pytest.raises(ConfigError) as caught:
        read_sources((), {"BARNABAS_PORT": "1", "BARNABAS_LISTENERS": "PLAINTEXT://:2"})
    assert str(caught.value) == "BARNABAS_PORT and BARNABAS_LISTENERS contradict each other: set one of them"


def test_the_id_of_the_cluster_is_taken_from_the_environment_as_kafkas_images_name_it():
    variables = {name: f"id of {name}" for name in reversed(CLUSTER_IDS)}
    for name in CLUSTER_IDS:
        assert read_sources((), variables).cluster_id == Given(f"id of {name}", name)
        del variables[name]
    assert read_sources((), {"CLUSTER_ID": " ", "KAFKA_CLUSTER_ID": ""}).cluster_id is None


def test_an_id_of_several_lines_is_no_cluster_id():
    reading = read_sources((), {"CLUSTER_ID": "a\nnode.id=7"})
    assert (reading.cluster_id, reading.warnings) == (
        None,
        ["CLUSTER_ID is ignored: an id has no control characters"],
    )


def test_a_stray_kafka_variable_breaks_nothing_and_is_mentioned():
    reading = read_sources((), {"KAFKA_URL": "kafka:9092", "KAFKA_NUM_PARTITION": "3", "KAFKA_RETENTION_MS": "5"})
    assert reading.given == {}
    assert reading.warnings == [
        "KAFKA_NUM_PARTITION is ignored: num.partition is not a known setting; did you mean num.partitions?",
        "KAFKA_RETENTION_MS is ignored: retention.ms is a setting of a topic; for all topics set log.retention.ms",
        "KAFKA_URL is ignored: url is not a known setting",
    ]


def test_a_name_nobody_knows_in_the_file_breaks_nothing_and_is_mentioned_with_its_line(write):
    path = write("# old file\nzookeeper.connect=zk:2181\nnum.partitions=2\n")
    reading = read_sources((), None, path)
    assert reading.given == {"num.partitions": Given("2", f"{path} line 3")}
    assert reading.warnings == [f"{path} line 2 is ignored: zookeeper.connect is not a known setting"]


def test_a_flag_keeps_even_a_name_nobody_knows_so_that_it_can_be_refused():
    assert read_sources([("num.partition", Given("1", "-c"))]).given == {"num.partition": Given("1", "-c")}


def test_a_file_that_is_not_there_is_an_error_with_its_name(tmp_path):
    path = str(tmp_path / "none.properties")
    with pytest.raises(ConfigError) as caught:
        read_sources((), None, path)
    assert str(caught.value) == f"{path} cannot be read: No such file or directory"


def test_a_broken_escape_is_an_error_with_file_and_line(write):
    path = write("a=b\nc=\\u12\n")
    with pytest.raises(ConfigError) as caught:
        read_sources((), None, path)
    assert str(caught.value) == f"{path} line 2: \\u must be followed by four hexadecimal digits"


@pytest.mark.parametrize("data", ["broker.rack=Zürich".encode(), "broker.rack=Zürich".encode("iso-8859-1")])
def test_a_file_may_be_utf8_or_iso_8859_1(write, data):
    assert read_sources((), None, write(data)).given["broker.rack"].value == "Zürich"


def test_a_byte_order_mark_is_not_part_of_the_first_name(write):
    assert list(read_sources((), None, write(b"\xef\xbb\xbfnum.partitions=3")).given) == ["num.partitions"]


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", []),
        ("# comment\n! comment\n  \t\n", []),
        ("  # comment too\\\na=b", [("a", "b")]),
        ("a=b", [("a", "b")]),
        ("a:b", [("a", "b")]),
        ("a b", [("a", "b")]),
        ("a \t = \t b", [("a", "b")]),
        ("a = = b", [("a", "= b")]),
        ("a", [("a", "")]),
        ("a=", [("a", "")]),
        ("=b", [("", "b")]),
        ("  a=b  ", [("a", "b  ")]),
        ("a=b=c:d e", [("a", "b=c:d e")]),
        ("a=b\r\nc=d\re=f\n", [("a", "b"), ("c", "d"), ("e", "f")]),
        ("a=b,\\\n    c,\\\n    d", [("a", "b,c,d")]),
        ("a=b\\\n# not a comment", [("a", "b# not a comment")]),
        ("a=b\\\n\nc=d", [("a", "b"), ("c", "d")]),
        ("a=b\\\\\nc=d", [("a", "b\\"), ("c", "d")]),
        ("a=b\\\\\\\nc", [("a", "b\\c")]),
        ("a=b\\", [("a", "b")]),
        ("a\\ b\\=c\\:d=e", [("a b=c:d", "e")]),
        ("a=\\t\\n\\r\\f\\q\\\\", [("a", "\t\n\r\fq\\")]),
        ("a=\\u00e9\\u20AC", [("a", "é€")]),
        ("a=\\uD83D\\uDE00", [("a", "😀")]),
        ("a=1\na=2", [("a", "1"), ("a", "2")]),
        ("path=C:\\\\data", [("path", "C:\\data")]),
    ],
)
def test_a_properties_file_is_read_by_javas_rules(text, pairs):
    assert properties(text) == pairs


def test_a_pair_bears_the_number_of_the_line_it_begins_on():
    assert list(parse_properties("# one\na=b\\\n  c\n\nd=e")) == [("a", "bc", 2), ("d", "e", 5)]
