"""The thanks for money that pays no bill: before the first one, and as credit on the account."""

import time
from typing import Any
from uuid import uuid4

from tests.integration.customer_page.visitor import Town
from tests.integration.utility import ADMIN


def pay(town: Town, customer: str, amount: str, payment_id: str | None = None) -> None:
    """Cash at the office, for the account."""
    body: dict[str, Any] = {"amount": amount, "method": "cash"}
    town.utility.services.office_payments.record_payment(
        payment_id=payment_id or str(uuid4()),
        body=body | {"received_on": town.utility.today},
        principal=ADMIN,
        now=town.utility.now,
        customer_id=customer,
    )


def test_who_has_no_bill_yet_is_thanked_once_in_their_language(town: Town) -> None:
    customer = town.home("M1")
    town.sql("update public.customers set language = 'es' where id = %s", customer)
    payment_id = str(uuid4())
    pay(town, customer, "200", payment_id)
    pay(town, customer, "200", payment_id)
    said = town.mail_to("m1@post.example")
    assert "recibimos su pago de 200,00" in said
    assert "Está en su cuenta" in said
    time.sleep(0.5)
    assert len(town.box.mails) == 1


def test_who_wants_no_messages_is_not_thanked(town: Town) -> None:
    customer = town.home("M1")
    town.sql(
        "insert into public.customer_channels (customer_id, opted_out_at) values (%s, now()) "
        "on conflict (customer_id) do update set opted_out_at = now()",
        customer,
    )
    pay(town, customer, "200")
    time.sleep(0.5)
    assert town.box.mails == []


def test_money_beyond_all_bills_is_said_to_be_on_the_account(town: Town) -> None:
    customer = town.home("M1")
    bill = town.bill("M1")
    pay(town, customer, "540.35")
    town.utility.services.outbox.sweep()
    assert f"{bill.reference} is paid" in town.mail_to("m1@post.example", 2)
    pay(town, customer, "100")
    town.utility.services.outbox.sweep()
    said = town.mail_to("m1@post.example", 3)
    assert "₹100.00" in said
    assert "It is on your account, for what is billed next." in said
    assert bill.reference not in said
