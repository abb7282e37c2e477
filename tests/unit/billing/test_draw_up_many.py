"""Bills drawn up together are, field for field, the bills that are drawn up one by one."""

import json
import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest

from services.billing.draw_up import draw_up_bills
from services.billing.draw_up_many import draw_up_plain_bills
from services.rating import UnableToPriceBill
from services.records.bills import BillCandidate, Issue, NewBill
from services.records.tariffs import TariffVersion
from services.settings import PROJECT_FOLDER

ZONE: Final = ZoneInfo("Asia/Kolkata")
ISSUE: Final = Issue(at=datetime(2026, 11, 1, tzinfo=UTC), on=date(2026, 11, 1), due_days=15)
TARIFFS: Final = {
    path.stem: json.loads(path.read_text())
    for path in sorted((PROJECT_FOLDER / "examples/tariffs").glob("*.json"))
}


def versions(name: str, *, again_from: str | None = None) -> list[TariffVersion]:
    definition = TARIFFS[name]
    dates = [definition["effective_from"], *([again_from] if again_from else [])]
    return [
        TariffVersion(
            id=f"{name}/{day}",
            tariff_id=name,
            code=definition["code"],
            name=definition["name"],
            currency=definition["currency"],
            effective_from=day,
            definition=definition,
        )
        for day in dates
    ]


def candidate(
    number: int, tariff: str, *, closing: dict[str, Any] | None = None, **changes: Any
) -> BillCandidate:
    opened = datetime(2026, 10, 1, 6, 30, tzinfo=UTC)
    end = opened + timedelta(days=changes.pop("days", 31))
    row: dict[str, Any] = {
        "agreement_id": f"a{number}",
        "meter_id": f"m{number}",
        "serial": f"M{number}",
        "tariff_id": tariff,
        "dials": 5,
        "multiplier_milli": 1000,
        "opening": _read(f"o{number}", number, opened, changes.pop("opening_wh", 1_000_000)),
        "closing": _read(f"c{number}", number, end, changes.pop("closing_wh", 1_117_000)),
        "reissue_no": 0,
        "billing_day": 1,
        "cycle_end": date(2026, 11, 1),
        "pricing": {},
    }
    row["opening"] |= changes.pop("opening", {})
    row["closing"] |= closing or {}
    return BillCandidate.model_validate(row | changes)


def _read(read_id: str, number: int, at: datetime, wh: int) -> dict[str, Any]:
    return {
        "id": read_id,
        "meter_id": f"m{number}",
        "read_at": at,
        "read_on": at.astimezone(ZONE).date(),
        "register_wh": wh,
        "source": "field",
    }


def together(candidates: list[BillCandidate], tariffs: list[TariffVersion]) -> dict[str, NewBill]:
    return draw_up_plain_bills(
        candidates,
        tariffs_of=lambda one: [v for v in tariffs if v.tariff_id == one.tariff_id],
        issue=ISSUE,
        shortest_days=2,
    )


def alone(one: BillCandidate, tariffs: list[TariffVersion]) -> list[NewBill]:
    assert one.closing is not None
    return draw_up_bills(
        agreement_id=one.agreement_id,
        constants=one.constants,
        installations=one.installations,
        opening=one.opening,
        between=one.between,
        closing=one.closing,
        tariffs=[v for v in tariffs if v.tariff_id == one.tariff_id],
        reissue_no=one.reissue_no,
        issue=ISSUE,
        zone=ZONE,
        inputs=one.pricing,
        shortest_days=2,
        billing_day=one.billing_day,
    )


def random_candidate(chance: random.Random, number: int) -> BillCandidate:
    opening = chance.choice([0, 1_000, 99_999_999, chance.randrange(90_000_000)])
    used = chance.choice([0, 1, 500, 49_999, 50_000, 50_001, chance.randrange(9_000_000)])
    changes: dict[str, Any] = {
        "days": chance.choice([1, 2, 24, 25, 28, 30, 31, 31, 31, 35, 36, 45, 63, 90]),
        "opening_wh": opening,
        "closing_wh": (opening + used) % 100_000_000,
        "multiplier_milli": chance.choice([1000, 1000, 1, 333, 1500, 40_000]),
        "connected_w": chance.choice([None, None, 3_000, 5_500]),
        "connected_va": chance.choice([None, None, 7_100]),
        "reissue_no": chance.choice([0, 0, 1]),
    }
    if chance.random() < 0.1:
        changes["closing"] = {"rolled_over": True}
    if chance.random() < 0.1:
        changes["opening"] = {"source": "estimated"}
    if chance.random() < 0.1:
        changes["pricing"] = {"past": [], "opening_bank": {}}
    if chance.random() < 0.05:
        changes["closing"] = {"registers": {"peak": 5}}
    return candidate(number, chance.choice(list(TARIFFS)), **changes)


def test_a_thousand_of_them_are_as_one_by_one() -> None:
    chance = random.Random(20261101)  # noqa: S311
    tariffs = [version for name in TARIFFS for version in versions(name)]
    candidates = [random_candidate(chance, number) for number in range(1_000)]
    found = together(candidates, tariffs)
    by_id = {one.agreement_id: one for one in candidates}
    for agreement, bill in found.items():
        assert [bill] == alone(by_id[agreement], tariffs), by_id[agreement]
        assert not bill.held_because
        (again,) = alone(by_id[agreement], tariffs)
        assert json.dumps(bill.to_json()) == json.dumps(again.to_json())
    # Of each tariff that a total is enough for, some: else nothing was compared.
    drawn_up = {by_id[agreement].tariff_id for agreement in found}
    assert {"kseb-lt1a", "delhi-shops-5kw", "ceb-215", "seymour-winter"} <= drawn_up
    assert len(found) > 150


@pytest.mark.parametrize(
    "changes",
    [
        {"closing": {"registers": {"peak": 1}}},
        {"closing": {"rolled_over": True}},
        {"closing": {"meter_id": "another"}},
        {"closing_wh": 999_000},
        {"opening": {"source": "customer"}},
        {"days": 70},
        {"days": 1},
        {"pricing": {"past": []}},
        {"spans": [{"tariff_id": "kseb-lt1a", "starts_on": None}]},
    ],
    ids=str,
)
def test_what_needs_more_is_left_to_one_by_one(changes: dict[str, Any]) -> None:
    assert together([candidate(1, "kseb-lt1a", **changes)], versions("kseb-lt1a")) == {}


def test_a_change_of_tariff_within_the_bill_is_left_to_one_by_one() -> None:
    tariffs = versions("kseb-lt1a", again_from="2026-10-15")
    assert together([candidate(1, "kseb-lt1a")], tariffs) == {}
    assert together([candidate(1, "kseb-lt1a")], tariffs[:1]).keys() == {"a1"}


def test_one_without_a_connected_load_does_not_hold_up_those_with_one() -> None:
    tariffs = versions("ceb-215")
    lacking, known = candidate(1, "ceb-215"), candidate(2, "ceb-215", connected_w=3_000)
    assert together([lacking, known], tariffs).keys() == {"a2"}
    with pytest.raises(UnableToPriceBill):
        alone(lacking, tariffs)


def test_an_amount_that_no_bill_can_have_is_left_to_one_by_one() -> None:
    absurd = candidate(1, "kseb-lt1a", closing_wh=10**11, dials=8, multiplier_milli=2 * 10**9)
    assert together([absurd, candidate(2, "kseb-lt1a")], versions("kseb-lt1a")).keys() == {"a2"}


def test_a_draft_has_no_issue() -> None:
    (bill,) = together([candidate(1, "kseb-lt1a")], versions("kseb-lt1a")).values()
    (draft,) = draw_up_plain_bills(
        [candidate(1, "kseb-lt1a")],
        tariffs_of=lambda _: versions("kseb-lt1a"),
        issue=None,
        shortest_days=2,
    ).values()
    assert draft == replace(bill, issue=None)
