"""Acceptance point 2: the same job on RabbitMQ as the broker, with nothing but its address."""

from collections.abc import Iterator

import pytest

from tests.acceptance.conftest import Stacks, a_site
from tests.acceptance.site import CHILDREN, Site
from tests.acceptance.stack import Kind

pytestmark = pytest.mark.number(2)


@pytest.fixture
def site(stacks: Stacks) -> Iterator[Site]:
    yield from a_site(stacks.running(Kind.RABBITMQ))


def test_a_job_runs_with_rabbitmq_as_the_broker(site: Site) -> None:
    job = site.planned(site.seed(10, **CHILDREN))

    ended = site.confirm(job, wait="2m").json

    assert ended["counts"]["by_outcome"] == {"deleted": 110}
    site.judge(job)
