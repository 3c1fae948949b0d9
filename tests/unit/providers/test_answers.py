"""What answers mean is kept, and goes by all that decides it and by nothing else."""

import httpx
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import a_connection
from worker.domain.calls import PROJECT, Action, Answer, Call, Target
from worker.domain.outcomes import Verdict
from worker.providers.answers import SHORT, Answers
from worker.providers.line import Reply

ACCOUNT = a_connection()
SECRET = "t0ken-1-of-ours"
GONE = b'{"code": 0, "message": "The project has been deleted."}'


def a_delete(number: int = 1, kind: str = PROJECT) -> Call:
    parent = "" if kind == PROJECT else "7"
    target = Target(kind=kind, external_id=str(number), parent_external_id=parent)
    return Call(action=Action.DELETE, targets=(target,))


A_READ = Call(action=Action.READ, targets=(Target(kind=PROJECT, external_id="1"),))


def a_reply(status: int, body: bytes, kind: str = "application/json", **headers: str) -> Reply:
    return Reply(status, httpx.Headers({"content-type": kind, **headers}), body)


def understood(answers: Answers, call: Call, reply: Reply, secret: str = SECRET) -> Answer:
    return answers.understand(call, reply, secret=secret, now=0.0)


def test_the_same_answer_to_another_deletion_means_the_same() -> None:
    answers = Answers(ACCOUNT)

    first, second = (understood(answers, a_delete(n), a_reply(200, GONE)) for n in (1, 2))

    assert first == second
    assert first.verdict is Verdict.DELETED


def test_the_same_body_to_a_read_or_with_another_status_means_something_else() -> None:
    answers = Answers(ACCOUNT)
    asked = [
        (a_delete(), a_reply(200, GONE)),
        (a_delete(), a_reply(500, GONE)),
        (a_delete(), a_reply(200, GONE, "text/html")),
        (A_READ, a_reply(200, GONE)),
    ]

    verdicts = [understood(answers, call, reply).verdict for call, reply in asked]

    assert verdicts == [
        Verdict.DELETED,
        Verdict.AMBIGUOUS,
        Verdict.AMBIGUOUS,
        Verdict.UNAVAILABLE,
    ]


def test_what_comes_beside_the_body_is_read_each_time() -> None:
    answers = Answers(ACCOUNT)
    busy = b'{"code": 44, "message": "For security reasons you are blocked."}'
    waits = [
        understood(answers, a_delete(), a_reply(429, busy, **{"retry-after": str(seconds)}))
        for seconds in (3, 9)
    ]

    assert [wait.retry_after and wait.retry_after.seconds for wait in waits] == [3, 9]


def test_a_message_that_repeats_the_token_hides_each_token_anew() -> None:
    answers = Answers(ACCOUNT)
    body = b'{"code": 57, "message": "You may not: alpha-token and omega-token"}'

    said = [
        understood(answers, a_delete(), a_reply(401, body), secret).message
        for secret in ("alpha-token", "omega-token")
    ]

    assert ["alpha-token" in one for one in said] == [False, True]
    assert ["omega-token" in one for one in said] == [True, False]


CODES = st.sampled_from([0, 43, 44, 45, 57, 1002, 1070, 36023])
BODIES = st.one_of(
    st.builds(lambda code: b'{"code": %d, "message": "said"}' % code, CODES),
    st.binary(max_size=40),
    st.just(b'{"code": 0, "message": "' + b"x" * SHORT + b'"}'),
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([a_delete(1), a_delete(2), a_delete(3, "task"), A_READ]),
            st.sampled_from([200, 204, 302, 400, 401, 404, 429, 500]),
            BODIES,
        ),
        max_size=30,
    )
)
def test_whatever_was_answered_before_an_answer_means_what_it_means_to_nobody_else(
    told: list[tuple[Call, int, bytes]],
) -> None:
    answers = Answers(ACCOUNT)
    for call, status, body in told:
        reply = a_reply(status, body)
        assert understood(answers, call, reply) == understood(Answers(ACCOUNT), call, reply)
