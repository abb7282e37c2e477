"""What a meter may have shown instead of a flagged value, as the rules explained it."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from services.quantities.quality import Quality
from services.readings.outlooks import proposals_of
from services.records.readings import Reading


def reading(*rules: dict[str, Any]) -> Reading:
    at = datetime(2026, 5, 1, 6, tzinfo=UTC)
    names: tuple[str, ...] = (
        "customer_id",
        "account_no",
        "customer_name",
        "address",
        "supersedes_id",
    )
    names += ("decided_by", "decided_at", "decision_reason", "bill_id", "bill_number")
    nothing: dict[str, Any] = dict.fromkeys((*names, "bill_total_minor", "bill_currency"))
    return Reading(
        id="r",
        meter_id="m",
        meter_serial="M-1",
        read_at=at,
        read_on=date(2026, 5, 1),
        register_wh=17_000_000,
        status="needs_review",
        is_opening=False,
        submitted_by="engineer-1",
        validation={"rules": list(rules)},
        created_at=at,
        quality=Quality.QUESTIONABLE,
        **nothing,
    )


def rule(name: str, outcome: str = "warn", **values: int) -> dict[str, Any]:
    return {"rule": name, "outcome": outcome, "message": "…", "values": values}


@pytest.mark.parametrize(
    ("name", "outcome", "values"),
    [
        ("transposed_digits", "warn", {"register_wh": 10_700_000, "used_wh": 100_000}),
        ("wrong_digit", "warn", {"register_wh": 10_700_000}),
        ("missed_decimal", "warn", {"register_wh": 10_700_000}),
        ("swapped_meters", "warn", {"register_wh": 10_700_000}),
        ("photo", "review", {"photo_wh": 10_700_000, "typed_wh": 17_000_000}),
    ],
)
def test_an_explanation_with_a_value_is_a_proposal(
    name: str, outcome: str, values: dict[str, int]
) -> None:
    found = proposals_of(reading(rule("high_use", "review"), rule(name, outcome, **values)))
    assert [one.register_wh for one in found] == [10_700_000]
    assert found[0].reason.endswith(".")


def test_a_value_is_proposed_once_and_never_the_flagged_one() -> None:
    same = rule("photo", "pass", photo_wh=17_000_000, typed_wh=17_000_000)
    twice = [rule(name, register_wh=10_700_000) for name in ("transposed_digits", "wrong_digit")]
    (found,) = proposals_of(reading(same, *twice, rule("wrong_digit", register_wh=17_000_000)))
    assert (found.register_wh, found.reason) == (10_700_000, "Two digits were swapped.")


def test_what_another_register_showed_is_no_proposal() -> None:
    rules = [rule("other_register", register_wh=9_000_000), rule("power_of_ten", used_wh=1)]
    assert proposals_of(reading(*rules)) == []
    # As readings were kept before rules had values.
    assert proposals_of(reading({"rule": "wrong_digit", "outcome": "warn", "message": "…"})) == []
