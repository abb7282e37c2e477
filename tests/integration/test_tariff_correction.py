"""A version of a tariff was wrong: it is corrected on its date, and its bills are reissued."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.corrections.affected_bills import CannotRebill
from services.corrections.tariff_correction import TariffCorrection, replacement_version
from services.database.errors import ChainMoved, IllegalChange
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import NotAllowed
from services.records.tariffs import PublishedVersion
from services.tariffs import Tariff, parse_tariff
from tests.integration.correcting import STEP, Correcting, ids
from tests.integration.utility import ADMIN, ENGINEER, KSEB, make_utility

RENT = 238  # 2.00 more rent, 18% tax and 1% cess on it


@pytest.fixture
def at(database: str, tmp_path: Path) -> Iterator[Correcting]:
    made = make_utility(database, tmp_path)
    yield Correcting(made)
    made.services.close()


@pytest.fixture
def corrections(at: Correcting) -> TariffCorrection:
    return at.utility.services.tariff_correction


def versions(at: Correcting) -> list[PublishedVersion]:
    return at.database.published_versions(code=str(KSEB["code"]))


def rent(begins: date | str, amount: str) -> Tariff:
    """The tariff of the tests from a date, with another meter rent."""
    data = json.loads(json.dumps(KSEB)) | {"effective_from": str(begins)}
    data["charges"][2]["amount"] = amount
    return parse_tariff(data)


def correct(at: Correcting, version: PublishedVersion, amount: str) -> None:
    at.utility.services.tariff_correction.correct(
        version=version,
        tariff=rent(version.effective_from, amount),
        reason="printed wrongly",
        principal=ADMIN,
    )


def rebill_all(at: Correcting, tariff_id: str) -> list[str]:
    """Every meter on the list; the reasons of those that stay on it."""
    corrections, after, failed = at.utility.services.tariff_correction, None, []
    while meters := corrections.left(
        principal=ADMIN, tariff_id=tariff_id, after=after, limit=2
    ).meters:
        for meter in meters:
            found = corrections.rebill(
                meter, reason="r", acknowledged=True, principal=ADMIN, now=at.utility.now
            )
            failed += [found.why] if found.why else []
        after = meters[-1]
    return failed


def test_the_bills_that_it_priced_are_made_anew_meter_by_meter(
    at: Correcting, corrections: TariffCorrection
) -> None:
    for number in range(3):
        at.chain(f"M{number}", 2)
    (wrong,) = versions(at)
    replacement = replacement_version(wrong, rent(wrong.effective_from, "8.00"))
    before = at.database.bills_to_correct(version_id=wrong.id, limit=10)
    assert (before.bills, before.meters_in_all, len(before.meters)) == (6, 3, 3)
    previews = corrections.preview(
        before.meters, now=at.utility.now, replacement=replacement, instead_of=wrong.id
    )
    assert [one.plan.difference_minor for one in previews if one.plan] == [2 * RENT] * 3
    assert corrections.left(tariff_id=wrong.tariff_id, limit=10, principal=ADMIN).bills == 0
    correct(at, wrong, "8.00")
    left = corrections.left(tariff_id=wrong.tariff_id, limit=2, principal=ADMIN)
    assert (left.bills, len(left.meters)) == (6, 2)
    first = corrections.rebill(
        left.meters[0], reason="r", acknowledged=True, principal=ADMIN, now=at.utility.now
    )
    assert first.correction is not None
    assert first.correction.difference_minor == 2 * RENT
    # Whoever comes again sees what is left.
    assert corrections.left(tariff_id=wrong.tariff_id, limit=10, principal=ADMIN).bills == 4
    assert rebill_all(at, wrong.tariff_id) == []
    assert corrections.left(tariff_id=wrong.tariff_id, limit=10, principal=ADMIN).bills == 0
    for number in range(3):
        at.check(f"M{number}")
        assert all(bill.replaces_id for bill in at.utility.bills_of(f"M{number}"))


def publish(at: Correcting, tariff: Tariff) -> bool:
    return at.utility.services.tariff_publishing.publish(tariff=tariff, principal=ADMIN)


def test_one_version_holds_on_a_date_and_the_same_date_still_refuses_another(
    at: Correcting,
) -> None:
    (wrong,) = versions(at)
    correct(at, wrong, "8.00")
    (right,) = versions(at)
    assert (right.replaces_id, right.correction_reason) == (wrong.id, "printed wrongly")
    assert right.published_by == ADMIN.user
    assert [v.id for v in at.database.tariff_versions()] == [right.id]
    assert at.database.tariffs()[0].begins == (wrong.effective_from,)
    for amount in ("9.00", str(KSEB["charges"][2]["amount"])):
        with pytest.raises(IllegalChange, match="already has another version"):
            publish(at, rent(wrong.effective_from, amount))
    # What holds already may be said again.
    same = rent(wrong.effective_from, "8.00")
    assert not publish(at, same)
    correct(at, wrong, "8.00")  # repeated, it changes nothing
    with pytest.raises(IllegalChange, match="corrected already"):
        correct(at, wrong, "9.00")
    correct(at, right, "9.00")
    assert len(versions(at)) == 1


def test_a_correction_is_of_the_same_tariff_and_date_by_an_administrator_with_a_reason(
    at: Correcting, corrections: TariffCorrection
) -> None:
    (version,) = versions(at)
    good: dict[str, Any] = {"version": version, "reason": "r", "principal": ADMIN}
    good["tariff"] = rent(version.effective_from, "8.00")
    for error, how in (
        (NotAllowed, {"principal": ENGINEER}),
        (ReasonMissing, {"reason": " "}),
        (CannotRebill, {"tariff": rent("2021-01-01", "8.00")}),
        (IllegalChange, {"tariff": version.tariff}),
    ):
        with pytest.raises(error):
            corrections.correct(**good | how)
    assert [v.id for v in versions(at)] == [version.id]


def test_a_bill_of_which_it_priced_some_days_is_made_anew_too(
    at: Correcting, corrections: TariffCorrection
) -> None:
    later = at.utility.today - timedelta(days=15)
    publish(at, rent(later, "70.00"))
    bills = at.chain("M1", 3)  # the last one has days of both versions
    at.chain("M2", 1)
    newest, oldest = versions(at)
    correct(at, newest, "80.00")
    left = corrections.left(tariff_id=newest.tariff_id, limit=10, principal=ADMIN)
    assert sorted((m.serial, m.bills) for m in left.meters) == [("M1", 1), ("M2", 1)]
    assert rebill_all(at, newest.tariff_id) == []
    assert ids(at.utility.bills_of("M1"))[:2] == ids(bills)[:2]
    at.check("M1")
    correct(at, oldest, "7.00")
    assert corrections.left(tariff_id=newest.tariff_id, limit=10, principal=ADMIN).bills == 4
    assert rebill_all(at, newest.tariff_id) == []
    at.check("M1")


def test_a_bill_priced_before_a_correction_is_priced_again(at: Correcting) -> None:
    at.chain("M1", 1)
    later = replace(at.utility, now=at.utility.now + STEP)
    begins = at.utility.today + timedelta(days=9)
    publish(at, rent(begins, "70.00"))
    services = at.utility.services
    context = at.database.reading_context(meter_serial="M1", read_at=later.now, read_on=later.today)
    # A read of 30 days on, whose bill two versions price.
    row = {"id": "8a4c2a38-0c12-4b0a-8c3c-0f3a8b3c9d11", "meter_id": context.meter.id}
    row |= {"read_at": later.now.isoformat(), "read_on": later.today.isoformat()}
    at.database.import_readings(
        actor="t", rows=[row | {"register_wh": 1_200_000, "status": "accepted", "validation": {}}]
    )
    closing = at.database.reading(row["id"])
    stale = services.issuer.bills_up_to(context=context, closing=closing, now=later.now)[-1]
    assert len(stale.priced_by) == 2
    correct(at, versions(at)[0], "71.00")
    with pytest.raises(ChainMoved):
        at.database.store_job_bills(actor="t", bills=[stale])


def test_a_meter_that_cannot_be_priced_so_stays_on_the_list_with_the_reason(
    at: Correcting, corrections: TariffCorrection
) -> None:
    at.chain("M1", 1)
    (wrong,) = versions(at)
    data = wrong.tariff.to_json()
    demand = {"code": "d", "description": "Demand", "kind": "demand", "quantity": "kw", "rate": "1"}
    tariff = parse_tariff(data | {"charges": [*data["charges"], demand]})
    corrections.correct(version=wrong, tariff=tariff, reason="r", principal=ADMIN)
    (why,) = rebill_all(at, wrong.tariff_id)
    assert why.startswith("INV-000001 cannot be reissued:")
    assert corrections.left(tariff_id=wrong.tariff_id, limit=10, principal=ADMIN).bills == 1
    at.check("M1")


def test_a_correction_of_a_reading_meanwhile_uses_the_version_as_it_is_now(
    at: Correcting, corrections: TariffCorrection
) -> None:
    bills = at.chain("M1", 2)
    (wrong,) = versions(at)
    correct(at, wrong, "8.00")
    at.execute(at.closed_at(bills[1], "1210"))
    left = corrections.left(tariff_id=wrong.tariff_id, limit=10, principal=ADMIN)
    assert [(m.serial, m.bills) for m in left.meters] == [("M1", 1)]
