"""What every test rests on: an environment of nobody's, and acceptance points by their number."""

import os
import signal
from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.points import in_order, is_wanted, point_of
from tests.services import is_ci

pytest_plugins = ["tests.databases"]

if not is_ci():  # there, hypothesis has a profile of its own
    settings.register_profile("unhurried", deadline=None)
    settings.load_profile("unhurried")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("acceptance")
    group.addoption("--full", action="store_true", help="run acceptance tests at full length")
    group.addoption(
        "--number",
        metavar="N",
        help="run only what proves these acceptance points: 7 (7.1 and 7.2 too) of the main job, "
        "systems-5 of an area, systems for all of it, or several: 3,7.2,systems-5",
    )


def pytest_configure() -> None:
    """Forget the settings of whoever runs the tests, before any fixture can read one."""
    _forget_settings()
    # Behind a shell's `&`, or `nohup`, we are born deaf, and so would be all we start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _forget_settings() -> None:
    for name in list(os.environ):
        if name.startswith("BULKDEL_") and not name.startswith("BULKDEL_TEST_"):
            del os.environ[name]


@pytest.fixture(autouse=True)
def _no_settings_left() -> Iterator[None]:
    """A command that ran inside a test may have told its settings to all that comes after it."""
    yield
    _forget_settings()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what proves the points of --number, and let each report carry its points."""
    wanted = config.getoption("--number")
    try:
        is_wanted((), wanted or "core")
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error
    chosen: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        points = [point_of(point) for mark in item.iter_markers("number") for point in mark.args]
        item.user_properties.extend(("number", point) for point in points)
        (chosen if wanted is None or is_wanted(points, wanted) else others).append(item)
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = chosen


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """After a run at full length, say of each acceptance point how it stands."""
    if not config.getoption("--full"):
        return
    by_point: dict[str, Counter[str]] = defaultdict(Counter)
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, point in getattr(report, "user_properties", ()):
                by_point[point][outcome] += name == "number"
    terminalreporter.section("acceptance points")
    for point in sorted(by_point, key=in_order):
        counts = ", ".join(f"{n} {outcome}" for outcome, n in by_point[point].items())
        terminalreporter.line(f"{point:>11}  {counts}")


@pytest.fixture(scope="session")
def full(pytestconfig: pytest.Config) -> bool:
    """Whether acceptance tests run at full length (`--full`), or short as in `make test`."""
    return bool(pytestconfig.getoption("--full"))
