import errno
import json

import click
import pytest

from worker.cli.errors import PIPE_CLOSED, Detached, PipeClosed, detachable, guarded
from worker.cli.output import printable, table
from worker.domain import errors

CODES = {
    errors.InvalidInput: 2,
    errors.KeyReused: 2,
    errors.NotFound: 2,
    errors.CredentialsMissing: 4,
    errors.Refused: 5,
    errors.Tampered: 5,
    errors.Unreachable: 9,
    errors.LeaseLost: 1,
    errors.IllegalMove: 1,
}


def raising(error: BaseException) -> object:
    raise error


@pytest.mark.parametrize(("kind", "code"), CODES.items())
def test_an_error_of_ours_has_its_exit_code(
    kind: type[errors.BulkdelError], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guarded(lambda: raising(kind("what it is", fix="what to do")), as_json=False) == code

    said = capsys.readouterr()
    assert said.out == ""
    if code != 1:
        assert said.err == "bulkdel: what it is\n    fix: what to do\n"


def test_with_json_an_error_is_one_object_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    error = errors.Unreachable("no database", fix="start it")

    assert guarded(lambda: raising(error), as_json=True) == 9

    said = capsys.readouterr()
    assert said.err == ""
    assert json.loads(said.out) == {
        "error": {"code": "unreachable", "what": "no database", "fix": "start it", "exit_code": 9}
    }


def test_a_bug_says_where_it_is_and_not_what_it_held(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert guarded(lambda: raising(ValueError("token=hunter2")), as_json=False) == 1

    said = capsys.readouterr().err
    assert "this is a bug of ours: ValueError at " in said
    assert "hunter2" not in said
    assert "Traceback" not in said

    monkeypatch.setenv("BULKDEL_LOG_LEVEL", "debug")
    assert guarded(lambda: raising(ValueError("token=hunter2")), as_json=False) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_is_130(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: raising(error), as_json=False) == 130
    assert "stopped" in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_leaving_a_job_says_how_to_come_back(
    error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    def leave() -> None:
        with detachable("j-1"):
            raising(error)

    assert guarded(leave, as_json=False) == 130

    said = capsys.readouterr().err
    assert "detached; the job goes on" in said
    assert "bulkdel watch j-1" in said
    assert Detached.exit_code == 130


def test_leaving_a_question_says_that_nothing_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    def leave() -> None:
        with detachable("j-1", asks=True):
            raising(click.Abort())

    assert guarded(leave, as_json=False) == 130

    said = capsys.readouterr().err
    assert "j-1 waits for its word" in said
    assert "bulkdel plan j-1" in said
    assert "goes on" not in said


@pytest.mark.parametrize("as_json", [False, True])
def test_a_full_disk_is_no_bug_and_is_said_on_stderr(
    as_json: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.cli.errors._close_pipe", lambda: None)
    error = OSError(errno.ENOSPC, "No space left on device")

    assert guarded(lambda: raising(error), as_json=as_json) == 9

    told = capsys.readouterr()
    assert told.out == ""
    assert "the output cannot be written: No space left on device" in told.err


@pytest.mark.parametrize("error", [BrokenPipeError(), PipeClosed()])
def test_a_reader_that_went_away_is_no_bug(
    error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guarded(lambda: raising(error), as_json=False) == PIPE_CLOSED
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain: ünïcode 名", "plain: ünïcode 名"),
        ("\x1b[31mred\x1b[0m", "\ufffd[31mred\ufffd[0m"),
        ("tab\tnew\nline", "tab new line"),
        ("\u202egnirts", "\ufffdgnirts"),
        ("\x9b31m", "\ufffd31m"),
        ("\u2066a\u200bb", "\ufffda\ufffdb"),
    ],
)
def test_text_of_somebody_else_cannot_steer_a_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(text).isprintable()


def test_a_table_is_aligned_and_safe() -> None:
    assert table([["a\x1b", "1"], ["long", "22"]], head=["name", "n"]) == [
        "name  n",
        "a\ufffd    1",
        "long  22",
    ]
