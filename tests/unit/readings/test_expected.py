"""The words for what a meter is expected to show."""

import pytest

from services.metering.validation import ExpectedRange
from services.readings.expected import expected_text


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        (None, "not known yet"),
        (ExpectedRange(1_000_500, 1_117_900), "1,000.5 to 1,117 kWh"),
        (ExpectedRange(99_870_000, 32_670_900), "99,870 to 99,999, or 0 to 32,670 kWh"),
    ],
)
def test_limits_are_written_in_order_also_past_a_rollover(
    expected: ExpectedRange | None, words: str
) -> None:
    assert expected_text(expected, dials=5) == words
