"""Connecting a place, and the tariff of an agreement: each bill worked out by hand."""

from typing import Any
from uuid import uuid4

import pytest

from services.corrections.rebilling import NotAcknowledged
from services.database.errors import IllegalChange
from services.payments.entry_forms import InvalidEntry
from services.supply.changes import (
    CannotChangeSupply,
    Connect,
    Deposit,
    MoveIn,
    MoveOut,
    OtherTariff,
    TypedRead,
)
from tests.integration.supply.supplied import Supplied
from tests.integration.utility import ADMIN


class TestTariff:
    def test_from_a_day_within_a_bill_each_prices_its_days(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.read("M1", 1060, 0)  # 60 kWh in 60 days at 2.00
        change = OtherTariff(point, at.day(30), "DEAR")
        (changed,) = at.plan(change).changes
        assert changed.difference_minor == 30 * 300
        at.do(change)
        (bill,) = at.bills("M1")
        assert bill.total_minor == 30 * 200 + 30 * 500
        with pytest.raises(CannotChangeSupply, match="since then already"):
            at.plan(change)

    def test_one_that_follows_itself_is_one(self, at: Supplied) -> None:
        """Days before a later change are put on its tariff, and what was to begin then is that."""
        point = at.meter("M1")
        at.do(OtherTariff(point, at.day(20), "DEAR"))
        at.do(OtherTariff(point, at.day(30), "DEAR"))
        at.read("M1", 1060, 0)
        assert at.bills("M1")[0].total_minor == 30 * 200 + 30 * 500
        with pytest.raises(CannotChangeSupply, match="since then already"):
            at.plan(OtherTariff(point, at.day(20), "DEAR"))
        at.do(OtherTariff(point, at.day(40), "DEAR"))
        at.do(OtherTariff(point, at.day(50), "FLAT"))
        assert at.bills("M1")[0].total_minor == 60 * 200
        at.ledger_is_whole()

    def test_what_is_to_come_is_priced_by_it(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.do(OtherTariff(point, at.day(0), "DEAR"))
        at.read("M1", 1060, 0)
        assert at.bills("M1")[0].total_minor == 12_000


class TestConnect:
    def test_customer_place_agreement_meter_and_read_at_once(self, at: Supplied) -> None:
        change = Connect(
            on=at.day(31),
            account_no="C-1",
            name="Asha",
            address="3 Canal Road",
            serial="C1",
            tariff_code="FLAT",
            read=TypedRead("12"),
            access_note="The key is at the shop.",
        )
        at.do(change)
        place = at.place(at.point("C1"))
        assert (place.point.address, place.point.access_note) == (
            "3 Canal Road",
            "The key is at the shop.",
        )
        at.read("C1", 22, 0)
        (bill,) = at.bills("C1")
        assert (bill.total_minor, bill.service_address) == (2_000, "3 Canal Road")

    def test_a_deposit_is_taken_with_it_once(self, at: Supplied) -> None:
        change = Connect(
            on=at.day(10), account_no="C-1", name="Asha", address="3 Canal Road", serial="C1",
            tariff_code="FLAT", read=TypedRead("12"), deposit=Deposit("1,500.00"),
        )  # fmt: skip
        change_id = str(uuid4())
        previewed = at.plan(change, change_id).fingerprint
        given: dict[str, Any] = {"change_id": change_id, "reason": "r", "principal": ADMIN}
        given |= {"previewed": previewed, "acknowledged": True, "now": at.utility.now}
        assert at.supply.execute(change, **given) == at.supply.execute(change, **given)
        account = at.database.account_numbered("C-1")
        assert (account.deposit_minor, account.balance_minor) == (150_000, 0)
        at.ledger_is_whole()

    def test_one_who_moves_in_may_leave_one_too(self, at: Supplied) -> None:
        point = at.meter("M1")
        at.do(MoveOut(point, at.day(20), TypedRead("1040")))
        who = at.customer("B")
        deposit = Deposit("200", "bank", "TX-7")
        at.do(MoveIn(point, who, at.day(10), TypedRead("1040"), "FLAT", deposit=deposit))
        assert at.database.account(who).deposit_minor == 20_000
        # What is open at the end is paid by it.
        at.do(MoveOut(point, at.day(0), TypedRead("1090")))
        assert at.database.account(who).deposit_minor == 10_000
        at.ledger_is_whole()

    def test_without_the_change_there_is_no_deposit(self, at: Supplied) -> None:
        at.meter("M1")
        change = Connect(
            on=at.day(10), account_no="C-1", name="Asha", address="", serial="C1",
            tariff_code="FLAT", read=TypedRead("12"), deposit=Deposit("100"),
        )  # fmt: skip
        plan, change_id = at.plan(change), str(uuid4())
        row = {**plan.rows, "id": change_id, "reason": "r", "kind": "connect"}
        row["meter"] = {**plan.rows["meter"], "tariff_code": "GONE"}
        with pytest.raises(IllegalChange, match="No tariff has the code GONE"):
            at.database.supply_with_deposit(
                actor=ADMIN.user, what="connect", change=row, deposit=plan.deposit or {}
            )
        assert at.database.accounts(text="C-1").total == 0

    @pytest.mark.parametrize(
        ("field", "value", "says"),
        [
            ("account_no", "", "The account number is empty"),
            ("serial", "M1", "There is a meter with the serial M1 already"),
            ("account_no", "A-M1", "Account A-M1 is that of House M1 already"),
            ("tariff_code", "NONE", "There is no tariff NONE"),
            ("multiplier", "0", "The multiplier must be more than 0"),
            ("deposit", Deposit("much"), "much"),
            ("deposit", Deposit("0"), "more than 0|above 0"),
            ("deposit", Deposit("500", "cheque"), "reference|number"),
            ("known", True, "No customer has the account number C-1"),
        ],
    )
    def test_what_cannot_be_is_said_and_nothing_is_half_done(
        self, at: Supplied, field: str, value: object, says: str
    ) -> None:
        at.meter("M1")
        given: dict[str, Any] = {
            "on": at.day(31), "account_no": "C-1", "name": "Asha", "address": "", "serial": "C1",
            "tariff_code": "FLAT", "read": TypedRead("12"),
        }  # fmt: skip
        # Said before anything is done.
        with pytest.raises((CannotChangeSupply, InvalidEntry), match=says):
            at.plan(Connect(**given | {field: value}))
        assert at.points("C1") == ()
        assert at.database.accounts(text="C-1").total == 0


def test_a_change_that_reissues_bills_of_long_ago_warns_of_back_billing(at: Supplied) -> None:
    point = at.meter("M1", opened=800)
    for ago, kwh in ((740, 1050), (700, 1090)):
        assert at.read("M1", kwh, ago).bill is not None
    late = OtherTariff(point, at.day(780), "DEAR")
    plan = at.plan(late)
    assert "Back-billing: INV-000001" in plan.warning
    with pytest.raises(NotAcknowledged, match="Say that you have seen this"):
        at.do(late, sure=False)
    at.do(late)
    assert at.plan(OtherTariff(point, at.day(10), "FLAT")).warning == ""
