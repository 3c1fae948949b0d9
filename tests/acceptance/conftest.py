"""Running deployments, started when a test first needs one and kept for all that follow."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from tests.acceptance.room import Room, Rooms
from tests.acceptance.site import Site
from tests.acceptance.stack import Kind, Stack, a_stack
from tests.acceptance.systems import ZOHO_V4, System
from tests.acceptance.warm import Warm
from tests.integration.stage import TOKEN, on_stage

HERE = Path(__file__).parent
ON_SERVICES_ALONE = frozenset(
    {
        "test_bells_and_leases",
        "test_cascade",
        "test_control",
        "test_guards",
        "test_kills",
        "test_provider_faults",
        "test_systems_bulk",
        "test_tampering",
    }
)
"""Files whose tests run on a laptop's deployment only at full length; demo, mistakes and pauses
at random moments always do, and what a store promises is held against both databases anyway."""
_numbers = count(1)


@pytest.hookimpl(tryfirst=True)  # before pytest looks which tests have which mark
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Everything in this folder is an acceptance test; some of it only at full length."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.acceptance)
    if not config.getoption("--full"):
        too_long = [item for item in items if _is_for_full_length_alone(item)]
        config.hook.pytest_deselected(items=too_long)
        items[:] = [item for item in items if item not in too_long]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Stop where xdist would tear a group apart, and start its deployment in every process."""
    if session.config.getoption("loadgroup", default=False):
        apart = [i.nodeid for i in session.items if _is_in_group(i) and "@" not in i.nodeid]
        if apart:
            raise pytest.UsageError(f"this pytest-xdist cannot keep {apart[0]} with its group")


def _is_in_group(item: pytest.Item) -> bool:
    return item.get_closest_marker("xdist_group") is not None


def _is_for_full_length_alone(item: pytest.Item) -> bool:
    given = getattr(item, "callspec", None) and item.callspec.params.values()  # type: ignore[attr-defined]  # of a test with parameters
    if Kind.SQLITE in (given or ()) and item.path.stem in ON_SERVICES_ALONE:
        return True
    return any(mark.kwargs.get("full") for mark in item.iter_markers("number"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the logs of the processes under a test that failed."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(stack, Stack):  # type: ignore[attr-defined]  # pytest's own report
        report.sections.append(("processes", stack.logs()))  # type: ignore[attr-defined]  # the same
    return report


class Stacks:
    """The deployments of this run by what they rest on."""

    def __init__(self, ending: ExitStack, folder: Path, warm: Warm | None) -> None:
        self._ending = ending
        self._folder = folder
        self._warm = warm
        self._running: dict[Kind, Stack] = {}

    def running(self, kind: Kind) -> Stack:
        """A deployment with two workers; started if there is none yet."""
        if kind not in self._running:
            home = self._folder / kind.value
            home.mkdir()
            stack = self._ending.enter_context(a_stack(kind, home, warm=self._warm))
            stack.start_workers(2)
            self._running[kind] = stack
        stack = self._running[kind]
        if not stack.processes:  # a test that kills them failed half way
            stack.start_workers(2)
        return stack


@pytest.fixture(scope="session")
def warm(full: bool) -> Iterator[Warm | None]:
    """What commands are forked from; None at full length, where each is a program of its own."""
    if full:
        yield None
        return
    forking = Warm()
    yield forking
    forking.close()


@pytest.fixture(scope="session")
def stacks(tmp_path_factory: pytest.TempPathFactory, warm: Warm | None) -> Iterator[Stacks]:
    """The deployments that tests share; one that disturbs its workers has one of its own."""
    with ExitStack() as ending:
        yield Stacks(ending, tmp_path_factory.mktemp("stacks"), warm)


@pytest.fixture(params=[Kind.POSTGRES, Kind.SQLITE], ids=str)
def stack(request: pytest.FixtureRequest, stacks: Stacks) -> Stack:
    """A running deployment: on services, then on one machine with nothing installed."""
    return stacks.running(request.param)


ON_SERVICES = pytest.mark.parametrize("stack", [Kind.POSTGRES], indirect=True, ids=str)
"""For tests of what is the same wherever it runs: one deployment is enough."""


@pytest.fixture
def site(stack: Stack) -> Iterator[Site]:
    """An account of its own on a running deployment."""
    yield from a_site(stack)


@pytest.fixture
def other_site(stack: Stack) -> Iterator[Site]:
    """Another account on the same deployment."""
    yield from a_site(stack)


def a_site(stack: Stack, system: System = ZOHO_V4) -> Iterator[Site]:
    """An account nobody else uses; afterwards nothing of the sandbox goes wrong any more."""
    number = next(_numbers)
    organization = system.organization(number)
    stack.control.organization(organization)
    site = Site(
        stack=stack,
        account=f"site{number}",
        organization=organization,
        since=len(stack.control.ledger()),
        lines=system.lines(stack, organization),
    ).configure()
    yield site
    stack.control.clear_faults()
    stack.control.latency(0)


@pytest.fixture
def room(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rooms:
    """Opens a room in which a job is worked inside this process; `more` configures its account."""
    monkeypatch.setenv("STAGE_TOKEN", TOKEN)

    @asynccontextmanager
    async def open_room(more: str = "") -> AsyncIterator[Room]:
        env = {
            "BULKDEL_DATABASE_URL": sqlite_url,
            "BULKDEL_CONFIG": str(tmp_path / "bulkdel.toml"),
            "BULKDEL_ACTOR": "ada",
        }
        async with on_stage(sqlite_url, tmp_path, more=more) as stage:
            stage.desk = stage.desk.acting_as("ada")
            yield Room(stage, env)

    return open_room
