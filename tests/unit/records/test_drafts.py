"""What is unusual about a draft, and that nothing is said of a usual one."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from services.billing.draft_signs import highest_usual_wh, signs_of
from services.records.drafts import Draft, PastUse

# Twelve bills around 10 kWh a day: half of them within 9 and 11.
STEADY = PastUse(12, 9_000, 10_000, 11_000)


def draft(*, kwh: int = 300, days: int = 30, past: PastUse = STEADY, **what: Any) -> Draft:
    start = date(2026, 10, 1)
    row: dict[str, Any] = {"id": "d", "meter_serial": "M1", "customer_id": "c", "account_no": "A"}
    row |= {"customer_name": "House", "tariff_code": "T", "period_start": start}
    row |= {"period_end": start + timedelta(days=days), "consumption_wh": kwh * 1000}
    row |= {"currency": "INR", "subtotal_minor": 100, "tax_minor": 0, "total_minor": 100}
    row |= {"created_at": datetime(2026, 11, 1, tzinfo=UTC), "estimated": False}
    row |= {"tariff_changes": False, "opinion_differs": False, "past_use": past, "outlier": False}
    return Draft.model_validate(row | what)


def test_a_usual_draft_has_no_sign() -> None:
    assert signs_of(draft()) == []


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"kwh": 481}, "High use: 16 kWh a day against 10 kWh a day, the median of its last 12"),
        ({"kwh": 99}, "Low use: 3.3 kWh a day against 10 kWh a day"),
        ({"kwh": 0}, "No use at all, against 10 kWh a day"),
        ({"past": PastUse(0, 0, 0, 0)}, "The first bill of this meter."),
        ({"kwh": 240, "days": 24}, "The period has 24 days: 25 to 35 are usual."),
        ({"kwh": 360, "days": 36}, "The period has 36 days"),
        ({"total_minor": 0}, "The total is ₹0.00."),
        ({"total_minor": -150}, "The total is −₹1.50."),
        ({"estimated": True}, "estimated read"),
        ({"tariff_changes": True}, "tariff changes"),
        ({"opinion_differs": True}, "second opinion"),
    ],
)
def test_each_sign_is_said_alone(what: dict[str, Any], said: str) -> None:
    (sign,) = signs_of(draft(**what))
    assert said in sign


@pytest.mark.parametrize("what", [{"kwh": 480}, {"kwh": 100}, {"days": 25, "kwh": 250}])
def test_what_lies_at_a_limit_is_usual(what: dict[str, Any]) -> None:
    assert signs_of(draft(**what)) == []


def test_with_few_bills_thrice_the_median_is_usual() -> None:
    assert highest_usual_wh(PastUse(3, 10_000, 10_000, 10_000)) == 30_000


def test_a_use_that_never_varied_may_vary_a_little() -> None:
    assert highest_usual_wh(PastUse(4, 12_000, 12_000, 12_000)) == 18_000


def test_several_signs_are_all_said() -> None:
    assert len(signs_of(draft(kwh=0, total_minor=0, days=1, past=PastUse(0, 0, 0, 0)))) == 4
