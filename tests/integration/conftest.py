"""The stage for tests of whole jobs inside one process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.stage import TOKEN, Stage, on_stage


@pytest.fixture
async def stage(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    monkeypatch.setenv("STAGE_TOKEN", TOKEN)
    async with on_stage(sqlite_url, tmp_path) as set_up:
        yield set_up
