"""A key is found on its line, or around it, and a look-alike in an array or string is not it."""

import tomllib

import pytest

from worker.config.lines import find_line

TEXT = '''\
# [accounts.acme] is told of below, """ and here
title = """
[accounts.acme]
token = 1
"""
[accounts.acme] # the first
"provider" = "x"
limits.per_day = 3
grace = { above = 1 }
list = [
  ["accounts"],
[1]
]
[ accounts . "b.c" ]
'quoted key' = 2
[accounts.acme.oauth]
client_id = 1
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("accounts",), 6),
        (("accounts", "acme"), 6),
        (("accounts", "acme", "provider"), 7),
        (("accounts", "acme", "limits", "per_day"), 8),
        (("accounts", "acme", "limits", "gone"), 8),
        (("accounts", "acme", "grace", "above"), 9),
        (("accounts", "acme", "list"), 10),
        (("accounts", "acme", "token"), 6),
        (("accounts", "b.c"), 14),
        (("accounts", "b.c", "quoted key"), 15),
        (("accounts", "acme", "oauth", "client_id"), 17),
        (("policies",), None),
        ((), None),
    ],
)
def test_a_key_is_found_on_its_line(path: tuple[str, ...], line: int | None) -> None:
    assert find_line(TEXT, tomllib.loads(TEXT), path) == line
