"""By which names Celery's own command finds the application."""

import pytest
from celery.app.utils import find_app

from worker.app import app


@pytest.mark.parametrize("name", ["worker", "worker.app", "worker.app:app"])
def test_celery_finds_the_application_by_the_package_or_the_module(name: str) -> None:
    assert find_app(name) is app
