"""What the conformance tests share. Each client is skipped where it is not installed."""

import re
from collections.abc import Generator, Iterator

import pytest
from support.process import BrokerProcess, running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/conformance/" in item.path.as_posix():
            item.add_marker(pytest.mark.conform)


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    return getattr(val, "name", None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of the broker's log with a test that failed."""
    report = yield
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, BrokerProcess):
                report.sections.append((f"log of {name}", value.log.read_text()[-4000:]))
    return report


@pytest.fixture(autouse=True)
def _installed(request: pytest.FixtureRequest) -> None:
    """Skip a test whose clients are not here."""
    callspec = getattr(request.node, "callspec", None)
    params = callspec.params if callspec else {}
    for value in params.values():
        missing = getattr(value, "missing", None)
        reason = missing(params.get("codec", "none")) if missing else ""
        if reason:
            pytest.skip(reason)


@pytest.fixture(scope="module")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """One broker for the tests of a module, which have a topic each."""
    with running(tmp_path_factory.mktemp("shared") / "data") as process:
        yield process


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    """A topic name that no other test has."""
    return re.sub(r"[^\w.-]", "_", request.node.name)[:200]
