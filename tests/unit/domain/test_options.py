"""What a provider's own settings of a call may say."""

import pytest

from worker.domain.errors import InvalidInput
from worker.domain.options import check, merge, parse
from worker.providers.truto import UNIFIED

SPECS = UNIFIED.options


def test_options_come_in_the_order_of_their_specs() -> None:
    given = ["remote_query.b=2", "truto_exclude_fields=id, name", "remote_query.a=1 & 1"]

    assert parse(SPECS, [*given, "truto_response_format=RAW"]) == (
        ("truto_response_format", "raw"),
        ("truto_exclude_fields", "id,name"),
        ("remote_query.a", "1 & 1"),
        ("remote_query.b", "2"),
    )


def test_options_may_be_written_as_the_provider_documents_them() -> None:
    given = ["truto_exclude_fields[]=id", "remote_query[foo]=bar", "remote_query[a][b]=1"]

    assert parse(SPECS, [*given, "truto_exclude_fields[]=name"]) == (
        ("truto_exclude_fields", "id,name"),
        ("remote_query.a[b]", "1"),
        ("remote_query.foo", "bar"),
    )


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ("truto_format=raw", "no option 'truto_format': did you mean"),
        ("integrated_account_id=x", "no option"),
        ("truto_response_format", "has no value"),
        ("truto_response_format=", "is empty"),
        ("truto_response_format=rwa", "did you mean raw?"),
        ("truto_ignore_remote_data=yes", "has no 'yes'"),
        ("truto_exclude_fields=a,,b", "has a name that is none"),
        ("truto_exclude_fields=a&b", "has a name that is none"),
        ("truto_response_format.x=raw", "not an option"),
        ("remote_query=x", "not an option"),
        ("remote_query.=x", "not an option"),
        ("remote_query.a]=x", "not an option"),
        ("remote_query.a&b=x", "not an option"),
        ("remote_query[]=x", "not an option"),
        ("remote_query[a=x", "no option"),
        ("truto_exclude_fields[id]=x", "no option"),
        ("truto_response_format[]=raw", "no option"),
        ("remote_query.a=x\r\ny", "cannot be sent"),
    ],
)
def test_what_is_no_option_is_refused(given: str, what: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(SPECS, [given])

    assert what in refused.value.what


def test_an_option_is_given_once() -> None:
    with pytest.raises(InvalidInput, match="given twice"):
        parse(SPECS, ["truto_response_format=raw", "truto_response_format=debug"])


def test_a_call_wins_over_its_account() -> None:
    account = (("truto_response_format", "raw"), ("remote_query.a", "1"))
    call = (("truto_response_format", "debug"), ("remote_query.b", "2"))

    assert check(SPECS, merge(account, call)) == (
        ("truto_response_format", "debug"),
        ("remote_query.a", "1"),
        ("remote_query.b", "2"),
    )


def test_a_provider_without_options_says_so() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse((), ["a=b"])

    assert refused.value.fix == "there are: none"
