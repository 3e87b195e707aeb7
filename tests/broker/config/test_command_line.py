"""The arguments of the barnabas command."""

import subprocess
import sys

import pytest

from barnabas import __version__
from barnabas.broker.config import ConfigError, Given
from barnabas.broker.config.command_line import (
    ADOPT_HELP,
    CHECK_HELP,
    DUMP_HELP,
    HELP,
    SETTINGS_HELP,
    DumpOptions,
    SettingsOptions,
    _directory_parser,
    _dump_parser,
    _parser,
    _settings_parser,
    parse,
)


def test_without_arguments_a_broker_runs_on_the_default_directory():
    options = parse([], {})
    assert (options.command, options.data_dir, options.log_level, options.warnings) == (
        "run",
        "./barnabas-data",
        "info",
        (),
    )
    assert options.config.listeners[0].port == 9092


def test_the_options_set_settings():
    options = parse(
        [
            "--data-dir=/data",
            "--listeners",
            "PLAINTEXT://:1",
            "--advertised-listeners",
            "PLAINTEXT://h:2",
            "-c",
            "num.partitions=3",
            "-cbroker.rack=a=b",
            "--log-level",
            "DEBUG",
        ],
        {},
    )
    assert (options.data_dir, options.log_level) == ("/data", "debug")
    assert (options.config.listeners[0].port, options.config.advertised_listeners[0].port) == (1, 2)
    assert options.config.int("num.partitions") == 3
    assert options.config.string("broker.rack") == "a=b"


def test_the_last_option_for_a_setting_wins():
    assert parse(["--data-dir", "/a", "-c", "log.dirs=/b"], {}).data_dir == "/b"
    assert parse(["-c", "log.dirs=/b", "--data-dir", "/a"], {}).data_dir == "/a"


@pytest.mark.parametrize("variable", ["KAFKA_LOG_DIRS", "KAFKA_LOG_DIR", "KAFKA_CFG_LOG_DIRS", "BARNABAS_DATA_DIR"])
def test_the_environment_may_name_the_data_directory(variable):
    assert parse([], {variable: "/data"}).data_dir == "/data"
    assert parse(["--data-dir", "/mine"], {variable: "/data"}).data_dir == "/mine"


def test_the_file_may_name_the_data_directory(tmp_path):
    path = tmp_path / "server.properties"
    path.write_text("log.dirs=/from/file\nold.name=1\n")
    options = parse(["--config", str(path)], {})
    assert options.data_dir == "/from/file"
    assert options.warnings == (f"{path} line 2 is ignored: old.name is not a known setting",)
    assert parse([], {"BARNABAS_CONFIG": str(path)}).data_dir == "/from/file"
    assert parse(["--config", str(path)], {"KAFKA_LOG_DIRS": "/env"}).data_dir == "/env"


def test_several_data_directories_are_refused():
    with pytest.raises(ConfigError) as caught:
        parse([], {"KAFKA_LOG_DIRS": "/a,/b"})
    assert str(caught.value) == (
        "log.dirs=/a,/b (from KAFKA_LOG_DIRS) must be one directory: Barnabas keeps everything in one"
    )


def test_a_typo_after_c_is_refused_but_in_the_environment_only_mentioned():
    with pytest.raises(ConfigError) as caught:
        parse(["-c", "num.partition=3"], {})
    assert str(caught.value) == "num.partition=3 (from -c) is not a known setting; did you mean num.partitions?"
    assert len(parse([], {"KAFKA_NUM_PARTITION": "3"}).warnings) == 1


def test_the_log_level_comes_from_the_environment_unless_it_is_an_option():
    assert parse([], {"BARNABAS_LOG_LEVEL": "warning"}).log_level == "warning"
    assert parse(["--log-level", "error"], {"BARNABAS_LOG_LEVEL": "warning"}).log_level == "error"
    assert parse([], {"BARNABAS_LOG_LEVEL": ""}).log_level == "info"


def test_check_takes_a_directory_and_no_settings():
    options = parse(["check", "/data"], {"KAFKA_NUM_PARTITIONS": "wrong"})
    assert (options.command, options.data_dir, options.warnings) == ("check", "/data", ())
    assert parse(["--log-level", "debug", "check", "/data"], {}).log_level == "debug"


@pytest.mark.parametrize(
    ("argv", "environ", "message"),
    [
        (["--nonsense"], {}, "unrecognized arguments: --nonsense"),
        (["--data"], {}, "unrecognized arguments: --data"),
        (["--listeners"], {}, "argument --listeners: expected one argument"),
        (["-c", "num.partitions"], {}, "argument -c: 'num.partitions' is not of the form NAME=VALUE"),
        (["-c", "=3"], {}, "argument -c: '=3' is not of the form NAME=VALUE"),
        (["--log-level", "debug", "check"], {}, "check needs one DATA_DIR, not 0"),
        (["--log-level", "debug", "adopt", "one", "two"], {}, "adopt needs one DATA_DIR, not 2"),
        (["--log-level", "debug", "settings", "one"], {}, "settings must be the first argument"),
        (
            ["--port", "1", "--listeners", "PLAINTEXT://:2"],
            {},
            "--port and --listeners contradict each other: give one of them",
        ),
        (
            ["-c", "listeners=PLAINTEXT://:2", "--port", "1"],
            {},
            "--port and --listeners contradict each other: give one of them",
        ),
        (["--log-level", "debug", "dump", "one"], {}, "dump must be the first argument"),
        (["--prot", "1"], {}, "unrecognized arguments: --prot"),
        (["--port", "many"], {}, "argument --port: 'many' is not a port: a whole number up to 65535"),
        (["--port", "65536"], {}, "argument --port: '65536' is not a port: a whole number up to 65535"),
        (
            ["--log-level", "loud"],
            {},
            "argument --log-level: 'loud' is not one of debug, info, warning, error",
        ),
        (
            [],
            {"BARNABAS_LOG_LEVEL": "loud"},
            "BARNABAS_LOG_LEVEL: 'loud' is not one of debug, info, warning, error",
        ),
    ],
)
def test_arguments_that_make_no_sense_end_with_code_2_and_one_line(argv, environ, message, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(argv, environ)
    assert caught.value.code == 2
    assert capsys.readouterr() == ("", f"barnabas: {message} (see barnabas --help)\n")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["check"], "check needs one DATA_DIR, not 0"),
        (["adopt", "one", "two"], "adopt needs one DATA_DIR, not 2"),
        (["check", "one", "--port", "1"], "unrecognized arguments: --port 1"),
        (["settings"], "settings needs one DATA_DIR, before --forget"),
        (["settings", "--forget", "listeners", "one"], "settings needs one DATA_DIR, before --forget"),
        (["settings", "one", "two"], "unrecognized arguments: two"),
        (["settings", "one", "--forget"], "argument --forget: expected at least one argument"),
        (
            ["settings", "one", "--forget-all", "--forget", "two"],
            "--forget and --forget-all contradict each other",
        ),
    ],
)
def test_arguments_of_a_command_that_make_no_sense_point_to_its_own_help(argv, message, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(argv, {})
    assert caught.value.code == 2
    assert capsys.readouterr() == ("", f"barnabas: {message} (see barnabas {argv[0]} --help)\n")


def test_settings_takes_a_directory_and_what_to_forget():
    options = parse(["settings", "/data"], {"KAFKA_NUM_PARTITIONS": "wrong"})
    assert (options.command, options.data_dir, options.settings) == ("settings", "/data", SettingsOptions())
    forget = parse(["settings", "/data", "--forget", "a", "b", "--forget", "c"], {}).settings
    assert forget == SettingsOptions(("a", "b", "c"))
    assert parse(["settings", "--forget-all", "/data"], {}).settings == SettingsOptions(forget_all=True)


def test_the_id_of_the_cluster_is_told():
    assert parse([], {"CLUSTER_ID": "one"}).cluster_id == Given("one", "CLUSTER_ID")
    assert parse([], {}).cluster_id is None


def test_a_command_nobody_knows_ends_with_code_2_and_one_line(capsys):
    with pytest.raises(SystemExit) as caught:
        parse(["server.properties"], {})
    assert caught.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_dump_takes_paths_and_options_in_any_order_and_no_settings():
    options = parse(["dump", "a", "--json", "b", "--limit=3"], {"KAFKA_NUM_PARTITIONS": "wrong"})
    assert (options.command, options.dump) == ("dump", DumpOptions(("a", "b"), json=True, limit=3))
    assert parse(["dump", "--records", "--verify", "a"], {}).dump == DumpOptions(("a",), records=True, verify=True)
    assert parse(["dump", "--from", "5", "--to=0", "a"], {}).dump == DumpOptions(("a",), from_offset=5, to_offset=0)
    assert parse(["check", "a"], {}).dump is None


def test_values_are_those_of_records():
    assert parse(["dump", "--values", "a"], {}).dump == DumpOptions(("a",), records=True, values=True)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "dump needs a PATH"),
        (["a", "--port=1"], "unrecognized arguments: --port=1"),
        (["a", "--from", "-1"], "argument --from: '-1' is not an offset"),
        (["a", "--to", "latest"], "argument --to: 'latest' is not an offset"),
        (["a", "--limit", "0"], "argument --limit: '0' is not a number of batches"),
        (["a", "--limit", "\u00b2"], "argument --limit: '\u00b2' is not a number of batches"),
    ],
)
def test_options_of_dump_that_make_no_sense_end_with_code_2_and_one_line(argv, message, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(["dump", *argv], {})
    assert caught.value.code == 2
    assert capsys.readouterr() == ("", f"barnabas: {message} (see barnabas dump --help)\n")


@pytest.mark.parametrize("argv", [["dump", "--help"], ["dump", "a", "-h"]])
def test_dump_has_a_help_of_its_own(argv, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(argv, {})
    assert caught.value.code == 0
    assert capsys.readouterr().out == DUMP_HELP


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["--help"], HELP),
        (["-h"], HELP),
        (["check", "--help"], CHECK_HELP),
        (["adopt", "/data", "-h"], ADOPT_HELP),
        (["settings", "--help"], SETTINGS_HELP),
    ],
)
def test_each_command_describes_itself(argv, text, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(argv, {})
    assert caught.value.code == 0
    assert capsys.readouterr().out == text


@pytest.mark.parametrize("text", [HELP, CHECK_HELP, ADOPT_HELP, SETTINGS_HELP, DUMP_HELP])
def test_help_fits_a_screen_of_24_lines_of_80(text):
    lines = text.splitlines()
    assert len(lines) < 24
    assert max(map(len, lines)) <= 80


def test_help_names_every_option_and_the_precedence():
    for parser, text in (
        (_parser(), HELP),
        (_directory_parser("check"), CHECK_HELP),
        (_directory_parser("adopt"), ADOPT_HELP),
        (_settings_parser(), SETTINGS_HELP),
        (_dump_parser(), DUMP_HELP),
    ):
        for action in parser._actions:
            for option in action.option_strings:
                assert f"{option} " in text or f"{option}, " in text
    for words in (
        "barnabas check DATA_DIR",
        "barnabas settings DATA_DIR",
        "barnabas COMMAND --help",
        "BARNABAS_",
        "KAFKA_",
    ):
        assert words in HELP


def test_version_is_told(capsys):
    with pytest.raises(SystemExit) as caught:
        parse(["--version"], {})
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"barnabas {__version__}\n"


def test_where_a_flag_stood_is_remembered():
    flags = _parser().parse_args(["--data-dir", "/a", "-c", "x=y"]).flags
    assert flags == [("log.dirs", Given("/a", "--data-dir")), ("x", Given("y", "-c"))]


def test_importing_the_settings_brings_in_nothing_heavy():
    heavy = ("argparse", "asyncio", "dataclasses", "difflib", "inspect")
    script = (
        "import sys; before = set(sys.modules); import barnabas.broker.config; "
        f"print([name for name in {heavy} if name in set(sys.modules) - before])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_port_is_short_for_a_listener_on_all_interfaces():
    (listener,) = parse(["--port", "9093"], {}).config.listeners
    assert (listener.name, listener.host, listener.port) == ("PLAINTEXT", "", 9093)


def test_a_command_that_does_not_exist_is_named(capsys):
    with pytest.raises(SystemExit):
        parse(["serve"], {})
    assert capsys.readouterr().err == "barnabas: no such command: 'serve' (see barnabas --help)\n"
