"""A bill's link at Stripe is for exactly what is left to pay, and there is never more than one."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from services.integrations.http import RequestRejected, ServiceUnavailable
from services.messages.wording import how_to_pay
from services.payments.stripe.client import StripePayments
from services.records.bills import Bill
from services.records.entries import NewPayment
from tests.integration.providers.conftest import MakeOffice, Office, Providers
from tests.integration.providers.published import STRIPE_KEY, Links
from tests.integration.providers.stand_in import Reply, Seen
from tests.integration.utility import ACTOR


@pytest.fixture
def office(make_office: MakeOffice) -> Office:
    """An office that takes payments and sends no messages."""
    made = make_office()
    made.add_customer()
    return made


@pytest.fixture
def bill(office: Office) -> Bill:
    """A bill of ₹540.35 that went through all its steps."""
    bill = office.utility.submit("M1", 1117).bill
    assert bill is not None
    return office.database.bill(bill.id)


def pay(office: Office, bill: Bill, minor: int) -> Bill:
    """Take a payment at the office; the bill afterwards."""
    now = datetime.now(UTC)
    payment = {"id": str(uuid4()), "bill_id": bill.id, "amount_minor": minor, "method": "cash"}
    payment |= {"currency": "INR", "reference": "", "received_at": now.isoformat()}
    payment["received_on"] = now.date().isoformat()
    assert (
        office.database.record_payments(actor=ACTOR, payments=[NewPayment.model_validate(payment)])
        == 1
    )
    return office.database.bill(bill.id)


def stripe_at(providers: Providers) -> StripePayments:
    return StripePayments(secret_key=STRIPE_KEY, base_url=providers.stripe.url)


def test_the_request_is_one_that_stripes_own_description_takes(
    bill: Bill, links: Links, stripe_mock: str | None
) -> None:
    if stripe_mock is None:
        pytest.skip("no stripe-mock: Go is not installed")
    (link,) = links.active
    form: dict[str, Any] = link["form"]
    assert form["line_items[0][price_data][unit_amount]"] == "54035"
    assert form["line_items[0][price_data][currency]"] == "inr"
    assert form["line_items[0][price_data][product_data][name]"] == "Electricity bill INV-000001"
    assert form["metadata[bill_id]"] == form["payment_intent_data[metadata][bill_id]"] == bill.id
    assert not any("House" in value or "Hill" in value for value in form.values())


def test_the_bill_carries_the_link(bill: Bill, links: Links, office: Office) -> None:
    (link,) = links.active
    assert bill.payment_url == link["url"]
    (kept,) = office.database.payment_links(bill_id=bill.id)
    assert (kept.id, kept.amount_minor, kept.active) == (link["id"], 54035, True)


def test_a_changed_balance_closes_the_link_and_makes_another(
    bill: Bill, links: Links, office: Office
) -> None:
    part_paid = pay(office, bill, 4035)
    for _ in range(2):
        office.links.bring_up_to_date(part_paid)
    (link,) = links.active
    assert link["form"]["line_items[0][price_data][unit_amount]"] == "50000"
    assert len(links.by_id) == 2
    assert office.database.bill(bill.id).payment_url == link["url"]
    assert [kept.active for kept in office.database.payment_links(bill_id=bill.id)] == [True, False]


def test_a_paid_bill_has_no_link(bill: Bill, links: Links, office: Office) -> None:
    paid = pay(office, bill, 54035)
    assert office.links.bring_up_to_date(paid) is None
    assert links.active == []
    assert office.database.bill(bill.id).payment_url is None


def test_a_void_bill_has_no_link(bill: Bill, links: Links, office: Office) -> None:
    void = office.database.void_bill(actor=ACTOR, bill_id=bill.id, reason="wrong meter")
    assert office.links.bring_up_to_date(void) is None
    assert links.active == []


def test_a_balance_that_comes_back_is_not_answered_with_its_old_closed_link(
    bill: Bill, links: Links, providers: Providers
) -> None:
    stripe = stripe_at(providers)
    lower = bill.model_copy(update={"balance_minor": 100})
    first = stripe.create_link(bill=bill, after="x")
    stripe.deactivate_link(first.id)
    second = stripe.create_link(bill=lower, after=first.id)
    stripe.deactivate_link(second.id)
    third = stripe.create_link(bill=bill, after=second.id)
    assert third.id != first.id
    assert links.by_id[third.id]["active"]
    assert not links.by_id[second.id]["active"]


def test_the_same_balance_asked_for_twice_is_one_link(
    bill: Bill, links: Links, providers: Providers
) -> None:
    before = len(links.by_id)
    assert stripe_at(providers).create_link(bill=bill) == stripe_at(providers).create_link(
        bill=bill
    )
    assert len(links.by_id) == before


def test_a_payment_that_comes_while_the_link_is_made_leaves_no_link_for_the_old_balance(
    bill: Bill, links: Links, office: Office
) -> None:
    pay(office, bill, 4035)
    stale = bill.model_copy(update={"balance_minor": 53000})
    with pytest.raises(ServiceUnavailable, match="balance changed"):
        office.links.bring_up_to_date(stale)
    assert [link["id"] for link in links.active] == []
    office.links.bring_up_to_date(office.database.bill(bill.id))
    (link,) = links.active
    assert link["form"]["line_items[0][price_data][unit_amount]"] == "50000"


def test_a_link_of_another_stripe_account_counts_as_closed(
    bill: Bill, providers: Providers
) -> None:
    assert bill.payment_url
    stripe_at(providers).deactivate_link("plink_of_test_mode")


@pytest.mark.parametrize(
    ("currency", "minor", "sent"),
    [("JPY", 500, "500"), ("KWD", 5120, "5120"), ("ISK", 5, "500"), ("USD", 1099, "1099")],
)
def test_each_currency_goes_out_in_the_units_stripe_counts_in(
    bill: Bill, links: Links, providers: Providers, *, currency: str, minor: int, sent: str
) -> None:
    other = bill.model_copy(update={"currency": currency, "balance_minor": minor})
    link = stripe_at(providers).create_link(bill=other)
    form = links.by_id[link.id]["form"]
    assert form["line_items[0][price_data][unit_amount]"] == sent
    assert form["line_items[0][price_data][currency]"] == currency.lower()


def test_stripe_says_that_it_can_be_reached(bill: Bill, providers: Providers) -> None:
    assert bill.status == "issued"
    assert "takes our key" in stripe_at(providers).check()
    with pytest.raises(RequestRejected, match="STRIPE_SECRET_KEY"):
        StripePayments(secret_key="sk_wrong", base_url=providers.stripe.url).check()


def test_links_are_audited_and_never_change(bill: Bill, office: Office) -> None:
    rows = office.sql(
        "select actor, action from public.audit_log where table_name = 'payment_links'"
    )
    assert rows == [("system:payment-links", "insert")]
    with pytest.raises(Exception, match="never changes"):
        office.sql("update public.payment_links set amount_minor = 1 where bill_id = %s", bill.id)
    with pytest.raises(Exception, match="never deleted"):
        office.sql("delete from public.payment_links")


def test_a_bill_that_a_bank_is_paying_has_no_open_link(
    office: Office, bill: Bill, links: Links
) -> None:
    assert office.links.bring_up_to_date(bill)
    assert links.active
    office.sql(
        "insert into public.spared_bills (bill_id, reason, source, until)"
        " values (%s, 'bank_debit', 'session cs_1', now() + interval '1 day')",
        bill.id,
    )
    assert office.links.bring_up_to_date(office.database.bill(bill.id)) is None
    assert links.active == []
    assert office.database.bill(bill.id).payment_url is None


def test_a_rest_that_stripe_takes_no_link_for_leaves_no_dead_link_on_the_bill(
    office: Office, bill: Bill, links: Links, providers: Providers
) -> None:
    rest = pay(office, bill, bill.balance_minor - 1)
    behave = providers.stripe.behave

    def refuse_new(seen: Seen) -> Reply:
        if seen.path == "/v1/payment_links":
            return providers.stripe.refusal("The amount is too small.")
        return behave(seen)

    providers.stripe.behave = refuse_new
    with pytest.raises(RequestRejected):
        office.links.bring_up_to_date(rest)
    assert links.active == []
    now = office.database.bill(bill.id)
    assert now.payment_url is None
    assert how_to_pay(now) == "at our office with the reference INV-000001"
