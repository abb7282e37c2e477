"""What customers read about autopay."""

from datetime import date
from typing import Any

import pytest

from services.messages.account_texts.autopay import asks_to_pay
from services.messages.sms import text_of
from services.messages.templates import TemplateWriter
from services.messages.whatsapp import TEMPLATES, parameters
from services.messages.wording import how_to_pay
from services.records.customers.debits import BillAutopay
from services.records.outbox import OutboxKind
from tests.unit.messages.test_templates import bill

MONEY = {"amount_minor": "54035", "currency": "INR", "method": "Visa …4242"}
FACTS: dict[str, tuple[OutboxKind, dict[str, str], str]] = {
    "notice": (
        "autopay_notice",
        MONEY | {"charge_on": "2026-11-12"},
        "₹540.35 of your electricity bill INV-000042 will be charged to Visa …4242 on 12 Nov 2026.",
    ),
    "again": (
        "autopay_failed",
        MONEY | {"code": "insufficient_funds", "again_on": "2026-11-15"},
        "Visa …4242: there was not enough money. We try again on 15 Nov 2026.",
    ),
    "last": ("autopay_failed", MONEY | {"paused": "yes"}, "Autopay is paused. Please pay the bill"),
    "confirm": ("autopay_failed", MONEY | {"confirm": "1"}, "wants you to confirm the charge"),
    "limit": (
        "autopay_failed",
        MONEY | {"limit_minor": "50000"},
        "it is above your limit of ₹500.00",
    ),
    "expiring": (
        "autopay_expiring",
        {"method": "Visa …4242", "expires_on": "2026-12-31"},
        "The card of your autopay (Visa …4242) expires on 31 Dec 2026.",
    ),
    "ended": ("autopay_ended", {"method": "Visa …4242"}, "has ended: nothing more is charged"),
}


@pytest.mark.parametrize("occasion", sorted(FACTS))
def test_each_occasion_is_said_on_each_channel(occasion: str) -> None:
    kind, facts, said = FACTS[occasion]
    made = bill()
    mail = TemplateWriter(lambda: "Green Valley").write(
        bill=made, kind=kind, language="en", facts=facts
    )
    assert said in mail.text
    assert said in text_of(made, kind, facts, sender="Green Valley")
    assert said in TEMPLATES[kind].filled(parameters(made, kind, facts))


def test_who_is_to_pay_is_given_the_way_to() -> None:
    made = bill()
    way = how_to_pay(made)
    for occasion, pays in (("again", False), ("confirm", False), ("last", True), ("limit", True)):
        kind, facts, _ = FACTS[occasion]
        assert asks_to_pay(facts) is pays
        assert (way in text_of(made, kind, facts, sender="G")) is pays


def test_a_bill_that_autopay_pays_asks_for_nothing() -> None:
    said = issued(status="announced", charge_on=date(2026, 11, 12))
    assert "Autopay pays it on 12 Nov 2026, so there is nothing to do." in said
    assert "Please pay" not in said


def issued(language: str = "en", today: str = "2026-11-13", **autopay: Any) -> str:
    """What the message of an issued bill says that autopay stands so for."""
    how = BillAutopay.model_validate({"charge_on": date(2026, 11, 12), "kind": "card"} | autopay)
    made = bill(spared_because="autopay", payment_url=None, autopay=how)
    facts = {"today": today}
    return (
        TemplateWriter(lambda: "G")
        .write(bill=made, kind="bill_issued", language=language, facts=facts)
        .text
    )


def test_while_a_debit_is_under_way_no_day_is_promised_that_is_over() -> None:
    debit: dict[str, Any] = {"status": "charging", "kind": "sepa_debit", "since": "2026-11-12"}
    said = issued(**debit)
    assert "under way since 12 Nov 2026, and the money is expected by 19 Nov 2026" in said
    assert "pays it on" not in said
    assert "longer than usual" in issued(today="2026-11-20", **debit)
    assert "desde el 12 nov 2026" in issued("es", **debit)


def test_a_charge_that_is_to_be_confirmed_leaves_something_to_do() -> None:
    said = issued(status="charging", since="2026-11-12", confirming=True)
    assert "Your bank wants you to confirm the charge" in said
    assert "nothing to do" not in said
    how = BillAutopay(status="charging", charge_on=date(2026, 11, 12), confirming=True)
    made = bill(spared_because="autopay", payment_url=None, autopay=how)
    assert how_to_pay(made) == "by confirming the charge on your page, under Autopay"


def test_who_has_left_is_not_promised_bills_to_come() -> None:
    facts = {"method": "Visa …4242", "left": "yes"}
    said = text_of(bill(), "autopay_ended", facts, sender="G")
    assert "the card or account is no longer kept" in said
    assert "Your bills come as before" not in said


def test_it_is_said_in_the_customer_s_language() -> None:
    kind, facts, _ = FACTS["notice"]
    writer = TemplateWriter(lambda: "G")
    said = writer.write(bill=bill(), kind=kind, language="es", facts=facts).text
    assert "se cobrarán en Visa …4242 el 12 nov 2026" in said
    assert "will be charged" not in said
