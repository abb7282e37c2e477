"""What happened to a payment, from when it came to what went back of it."""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from pages.registry import BILL
from pages.shared.detail import Event
from pages.shared.format import money
from pages.shared.money_format import FLAG, METHOD_NAME, RETURN_KIND, RETURN_STATUS
from services.quantities.period import local_date
from services.records.bills import invoice_reference
from services.records.details import PaymentDetail


def payment_events(found: PaymentDetail, zone: ZoneInfo) -> Iterator[Event]:
    """Its events, those of one day in the order in which they happen."""
    payment = found.payment
    yield Event(
        on=payment.received_on,
        what=f"Received, {METHOD_NAME[payment.method].lower()}",
        icon="payments",
        more=payment.reference or payment.provider_id or "",
        amount=money(payment.amount_minor, payment.currency),
    )
    yield Event(
        on=local_date(payment.created_at, zone),
        what=f"Recorded by {payment.recorded_by}",
        icon="edit",
    )
    for flag in found.flags:
        yield Event(
            on=local_date(flag.raised_at, zone),
            what="Needs a look",
            icon="flag",
            more=f"{FLAG[flag.reason]} {flag.detail}",
        )
        if flag.resolved_at:
            said = f"{flag.resolution or ''} ({flag.resolved_by})"
            on = local_date(flag.resolved_at, zone)
            yield Event(on=on, what="Looked at", icon="check_circle", more=said)
    for part in found.paid:
        if part.bill_id and part.bill_number is not None and part.debit_kind == "bill":
            yield Event(
                on=local_date(part.allocated_at, zone),
                what=f"Paid {invoice_reference(part.bill_number)}",
                icon="receipt_long",
                amount=money(part.amount_minor, part.currency),
                page=BILL,
                id=part.bill_id,
            )
    for back in found.returns:
        yield Event(
            on=back.on_date,
            what=RETURN_KIND[back.kind],
            icon="undo",
            more=f"{back.reason} · by {back.created_by}",
            amount=money(back.amount_minor, back.currency),
            state=RETURN_STATUS[back.status],
        )
