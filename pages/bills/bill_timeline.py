"""What happened to a bill, from the read that it opens at to its payments and corrections."""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from pages.registry import PAYMENT
from pages.shared.detail import Event
from pages.shared.format import OCCASION, READING_SOURCE, kwh, moment, money
from pages.shared.money_format import METHOD_NAME, entry_kind
from services.quantities.period import local_date
from services.records.details import BillDetail, PaidPart
from services.records.readings import Reading


def bill_events(found: BillDetail, zone: ZoneInfo) -> Iterator[Event]:
    """Its events, those of one day in the order in which they happen."""
    bill = found.bill
    yield _read("Opening read", found.opening, zone)
    yield _read("Closing read", found.closing, zone)
    drawn_up_on, total = local_date(bill.created_at, zone), money(bill.total_minor, bill.currency)
    if bill.issued_on is None or drawn_up_on < bill.issued_on:
        yield Event(on=drawn_up_on, what="Drawn up", icon="calculate", amount=total)
    if bill.issued_on:
        issued = f"Issued as {bill.reference}"
        yield Event(on=bill.issued_on, what=issued, icon="receipt_long", amount=total)
    for work in found.outbox:
        on = local_date(work.created_at, zone)
        yield Event(on=on, what=OCCASION.get(work.kind, work.kind), icon="mail")
    if bill.overdue_since:
        yield Event(on=bill.overdue_since, what="Overdue", icon="schedule")
    for part in found.paid:
        yield _paid(part, zone)
    for correction in found.corrections:
        yield Event(
            on=local_date(correction.created_at, zone),
            what="Corrected",
            icon="edit_document",
            more=f"{correction.reason} · by {correction.created_by}",
        )


def _read(what: str, reading: Reading, zone: ZoneInfo) -> Event:
    said = f"{moment(reading.read_at, zone)} · {READING_SOURCE[reading.source]}"
    return Event(
        on=reading.read_on,
        what=f"{what}, {kwh(reading.register_wh)}",
        icon="speed",
        more=f"{said} · by {reading.submitted_by}",
    )


def _paid(part: PaidPart, zone: ZoneInfo) -> Event:
    one, payment = part.allocation, part.payment
    amount = money(one.amount_minor, one.currency)
    if payment is None:
        on = local_date(one.allocated_at, zone)
        return Event(on=on, what=entry_kind(one.credit_kind), icon="add_circle", amount=amount)
    return Event(
        on=payment.received_on,
        what=f"Paid, {METHOD_NAME[payment.method].lower()}",
        more=payment.reference,
        icon="payments",
        amount=amount,
        page=PAYMENT,
        id=payment.id,
    )
