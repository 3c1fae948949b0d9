from worker.sandbox.limits import Excess, Limits, Meter, Refusal

DAY = 86_400.0


def metered(limits: Limits) -> Meter:
    meter = Meter()
    meter.set(limits)
    return meter


def test_no_sliding_window_lets_in_more_than_its_limit() -> None:
    meter = metered(Limits(windows=((2, 10.0),)))

    answers = [meter.enter(now) for now in (0.0, 9.0, 9.9, 10.0, 10.1)]

    refused = Refusal(excess=Excess.WINDOW)
    assert answers == [None, None, refused, None, refused]
    assert meter.stats()["windows"] == [{"limit": 2, "seconds": 10.0, "peak": 4}]
    assert meter.stats()["over"]["window"] == 2


def test_the_tightest_of_several_windows_holds() -> None:
    meter = metered(Limits(windows=((1, 1.0), (2, 60.0))))

    answers = [meter.enter(now) is None for now in (0.0, 0.5, 2.0, 30.0)]

    assert answers == [True, False, True, False]


def test_a_full_window_says_when_there_is_room_if_it_is_to() -> None:
    meter = metered(Limits(windows=((1, 10.0),), retry_after=True))
    meter.enter(0.0)

    assert meter.enter(4.0) == Refusal(excess=Excess.WINDOW, retry_after=6.0)


def test_a_day_is_spent_and_begins_again() -> None:
    meter = metered(Limits(per_day=10, day_used=9))

    answers = [meter.enter(now) for now in (1.0, 2.0, DAY + 1)]

    assert answers == [None, Refusal(excess=Excess.DAY), None]
    assert meter.day_used == 1


def test_too_many_in_flight_are_refused_until_one_is_answered() -> None:
    meter = metered(Limits(in_flight=1))
    first, second = meter.enter(0.0), meter.enter(0.0)
    meter.leave()
    third = meter.enter(0.0)

    assert (first, second, third) == (None, Refusal(excess=Excess.IN_FLIGHT), None)
    assert meter.stats()["in_flight"] == {"limit": 1, "now": 1, "peak": 2}


def test_going_over_too_often_is_punished() -> None:
    limits = Limits(windows=((1, 1.0),), penalty_after=2, penalty_seconds=100.0)
    meter = metered(limits)

    answers = [meter.enter(now) for now in (0.0, 0.1, 0.2, 10.0, 101.0)]

    assert answers == [
        None,
        Refusal(excess=Excess.WINDOW),
        Refusal(excess=Excess.WINDOW),
        Refusal(excess=Excess.BLOCKED, retry_after=90.2),
        None,
    ]


def test_limits_that_are_not_enforced_are_measured() -> None:
    meter = metered(Limits(windows=((1, 60.0),), in_flight=1, enforce=False))

    answers = [meter.enter(0.0) for _ in range(3)]

    assert answers == [None, None, None]
    assert meter.stats()["windows"][0]["peak"] == 3
    assert meter.stats()["in_flight"]["peak"] == 3
    assert meter.stats()["over"]["in_flight"] == 2
