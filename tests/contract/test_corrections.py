"""Every question and write about corrections, on both transports, with the same answers."""

from datetime import timedelta
from uuid import uuid4

import pytest

from services.corrections.plan import WrongReading
from services.database.errors import ChainMoved, IllegalChange, NotFound
from services.tariffs import parse_tariff
from tests.contract.over import Json, Over
from tests.integration.utility import ADMIN, KSEB


def test_a_correction_is_planned_done_once_and_found_from_both_its_bills(over: Over) -> None:
    over.utility.add_meter("M1")
    bill = over.utility.submit("M1", 1117).bill
    assert bill is not None
    over.pay(bill, 54_035)
    book = over.same("rebill_context", bill_id=bill.id)
    assert [one.id for one in book.bills] == [bill.id]
    rebilling = over.utility.services.rebilling
    wrong = WrongReading(bill.id, bill.closing_reading_id, "1107")
    how: Json = {"correction_id": str(uuid4()), "reason": "misread", "acknowledged": True}
    how |= {"previewed": rebilling.plan(wrong, now=over.utility.now).fingerprint}
    how |= {"principal": ADMIN, "now": over.utility.now}
    assert over.same("correction", how["correction_id"]) is None
    done = rebilling.execute(wrong, **how)
    assert rebilling.execute(wrong, **how) == done
    assert over.same("correction", done.id) == done
    (one,) = done.bills
    for bill_id in (one.void_bill_id, one.new_bill_id):
        assert over.same("corrections_of_bill", bill_id) == [done]
    assert over.same("account", bill.customer_id).balance_minor == done.difference_minor < 0
    assert over.same("check_ledger").problems == ()
    with pytest.raises(NotFound):
        over.here.rebill_context(bill_id=str(uuid4()))


def test_bills_that_are_not_as_they_were_seen_are_not_touched(over: Over) -> None:
    over.utility.add_meter("M1")
    bill = over.utility.submit("M1", 1117).bill
    assert bill is not None
    with pytest.raises(ChainMoved, match="changed meanwhile"):
        over.here.rebill(
            actor=ADMIN.user, correction_id=str(uuid4()), kind="void",
            agreement_id=bill.agreement_id, meter_id=bill.meter_id, reason="r", warned="",
            on=over.utility.today, chain_from=bill.period_start,
            chain=[f"{bill.id} draft"], affected=[{"void": bill.id, "new": None}], bills=[],
        )  # fmt: skip
    assert over.same("bill", bill.id).status == "issued"


def test_a_tariff_is_corrected_once_and_its_bills_are_listed_until_made_anew(over: Over) -> None:
    over.utility.add_meter("M1")
    assert over.utility.submit("M1", 1117).bill is not None
    (version,) = over.same("published_versions", code=KSEB["code"])
    given: Json = {"actor": ADMIN.user, "new_id": str(uuid4()), "version_id": version.id}
    given |= {"tariff": parse_tariff(KSEB | {"source": "The gazette"}), "reason": "misprint"}
    over.here.correct_tariff(**given)
    over.here.correct_tariff(**given)
    with pytest.raises(IllegalChange, match="already"):
        over.here.correct_tariff(**given | {"new_id": str(uuid4())})
    (now,) = over.same("published_versions", code=KSEB["code"])
    assert (now.replaces_id, now.correction_reason) == (version.id, "misprint")
    left = over.same("bills_to_correct", tariff_id=version.tariff_id, limit=10)
    assert (left.bills, left.meters[0].serial) == (1, "M1")
    assert over.same("bills_to_correct", version_id=now.id, limit=10).bills == 0
    reach = over.same("tariff_reach", version_id=version.id)
    assert (reach.bills, reach.issued, reach.customers) == (1, 1, 1)
    assert [(one.total_minor, one.paid_minor) for one in reach.sums] == [(left.total_minor, 0)]
    assert over.same("tariff_reach", version_id=now.id).bills == 0
    assert (
        over.same("bills_to_correct", version_id=version.id, after=left.meters[0], limit=1).meters
        == ()
    )


def test_a_reading_that_is_not_billed_is_corrected(over: Over) -> None:
    over.utility.add_meter("M1")
    at = over.utility.now - timedelta(days=5)
    read = over.utility.submit("M1", 1050, at=at, source="imported").reading
    found = over.same("reading_to_correct", read.id)
    assert (found.bill_id, found.at_a_change, found.after) == (None, False, None)
    assert found.before is not None
    assert over.same("reading_to_correct", found.before.id).at_a_change
    right: Json = {"id": str(uuid4()), "register_wh": 1_040_000, "registers": {}}
    right |= {"read_at": read.read_at.isoformat(), "read_on": read.read_on.isoformat()}
    done = over.here.correct_reading(
        actor=ADMIN.user, reason="misread", reading_id=read.id, right=right | {"validation": {}}
    )
    assert (done.register_wh, done.supersedes_id) == (1_040_000, read.id)
    with pytest.raises(NotFound):
        over.here.reading_to_correct(str(uuid4()))
