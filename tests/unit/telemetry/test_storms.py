"""A storm of the same line is a few lines and a summary."""

import logging

from services.telemetry.storms import MOST_IN_A_WINDOW, WINDOW_SECONDS, Storms


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def record(words: str = "meter %s is away", *args: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("services.x", logging.WARNING, "", 0, words, args or ("M-1",), None)
    made.__dict__.update(extra)
    return made


def test_the_first_lines_pass_and_the_rest_is_counted() -> None:
    clock = Clock()
    storms = Storms(clock)
    passed = [storms.passing(record("meter %s is away", f"M-{n}")) for n in range(520)]
    assert passed == [True] * MOST_IN_A_WINDOW + [False] * 500
    assert storms.summaries() == []
    clock.now += WINDOW_SECONDS
    (summary,) = storms.summaries()
    assert summary.getMessage() == "meter M-519 is away [repeated 500 times in 60 s]"
    assert storms.passing(record()), "the next minute starts again"


def test_other_wordings_levels_and_subjects_are_counted_apart() -> None:
    storms = Storms(Clock())
    for _ in range(MOST_IN_A_WINDOW + 1):
        storms.passing(record())
    assert not storms.passing(record())
    assert storms.passing(record("another %s"))
    assert storms.passing(record(storm="Stripe"))
    assert storms.passing(record(every=True))


def test_what_was_not_repeated_has_no_summary() -> None:
    clock = Clock()
    storms = Storms(clock)
    storms.passing(record())
    clock.now += 2 * WINDOW_SECONDS
    assert storms.summaries() == []
    assert storms.summaries(all_of_them=True) == []


def test_many_wordings_do_not_fill_the_memory() -> None:
    clock = Clock()
    storms = Storms(clock)
    for n in range(5_000):
        assert storms.passing(record(f"line {n} %s"))
    assert len(storms._windows) == 1_000
    clock.now += WINDOW_SECONDS
    storms.summaries()
    assert storms._windows == {}
