"""A deadline is handed along, and each caller may only make it earlier."""

import time

from services.integrations.deadline import Deadline


def test_what_is_left_never_falls_below_nothing() -> None:
    assert 9 < Deadline.after(10).left() <= 10
    assert Deadline(time.monotonic() - 5).left() == 0


def test_it_leaves_time_to_those_who_come_later() -> None:
    deadline = Deadline.after(10)
    assert 5 < deadline.leaving(4).left() <= 6
    assert deadline.leaving(40).left() == 0


def test_it_is_the_earlier_of_two() -> None:
    deadline = Deadline.after(10)
    assert 2 < deadline.at_most(3).left() <= 3
    assert deadline.at_most(30) == deadline
