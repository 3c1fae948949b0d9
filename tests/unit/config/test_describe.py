"""The list of settings is complete and shows no path of this machine."""

from pathlib import Path

from worker.config.describe import describe
from worker.config.settings import Settings, variable_of

ROWS = {row.name: row for row in describe()}


def test_every_setting_is_listed_with_a_meaning() -> None:
    assert {variable_of(name) for name in Settings.model_fields} <= ROWS.keys()
    assert len(ROWS) == len(describe())
    assert all(row.type and row.default and row.meaning.endswith(".") for row in ROWS.values())


def test_keys_of_inner_tables_are_listed_by_their_path() -> None:
    assert ROWS["accounts.NAME.limits.windows"][1:3] == (
        "list of [calls, duration]",
        '[[100, "60s"]]; truto: [[50, "10s"]]',
    )
    assert ROWS["accounts.NAME.grace.wait"][1:3] == ("duration", "15m")
    assert ROWS["accounts.NAME.dialect"].default.startswith("zoho_books: the end of base_url")
    assert ROWS["accounts.NAME.options"][1:3] == ("table of options", "{}")
    assert ROWS["accounts.NAME.provider"].default == "required"
    assert ROWS["accounts.NAME.oauth.client_id"].type == '"env:NAME" or "file:PATH"'
    assert ROWS["purses.NAME.windows"].default == "[]"
    assert ROWS["policies.NAME.guard.max_items"][1:3] == (
        "whole number, at least 1",
        "not set",
    )


def test_a_name_of_a_table_is_no_key() -> None:
    assert not {"accounts.NAME.name", "purses.NAME.name", "policies.NAME.name"} & ROWS.keys()


def test_no_path_of_this_machine_is_shown() -> None:
    here = str(Path.cwd())

    assert not any(here in text for row in ROWS.values() for text in row)
