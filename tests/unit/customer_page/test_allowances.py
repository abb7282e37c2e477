"""So many times within a span of time, by key."""

from datetime import UTC, datetime, timedelta

import pytest

from services.customer_page.allowances import Allowance, TooMany

NOW = datetime(2026, 11, 28, 6, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_what_is_used_up_comes_back_one_by_one() -> None:
    allowance = Allowance(2, HOUR)
    allowance.use("a", NOW)
    allowance.use("a", NOW + HOUR / 2)
    with pytest.raises(TooMany):
        allowance.use("a", NOW + HOUR - timedelta(seconds=1))
    allowance.use("b", NOW)
    allowance.use("a", NOW + HOUR)
    with pytest.raises(TooMany):
        allowance.use("a", NOW + HOUR)


def test_no_more_keys_are_kept_than_there_is_room_for() -> None:
    allowance = Allowance(1, HOUR, most_keys=2)
    for key in "abc":
        allowance.use(key, NOW)
    allowance.use("a", NOW)
    with pytest.raises(TooMany):
        allowance.use("a", NOW)
