"""What customers are told of a bill: templates in plain words, and who else may write them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Protocol

from services.database.service import DatabaseService
from services.domain.energy import format_kwh
from services.domain.records import Bill, OwedKind
from services.owed_work import StepDone

TEMPLATE: Final = "template"
LANGUAGE: Final = "en"
HEADLINES: Final[dict[OwedKind, str]] = {
    "bill_issued": "Electricity bill",
    "payment_reminder": "Payment reminder",
    "overdue_notice": "Payment overdue",
}


@dataclass(frozen=True, slots=True)
class Message:
    """A text for a customer, who wrote it ("template", or a model's name), and a note on why."""

    text: str
    written_by: str
    note: str = ""


class MessageWriter(Protocol):
    """Writes what a customer is told on an occasion."""

    def write(self, *, bill: Bill, kind: OwedKind, language: str) -> Message:
        """The message in `language` (an IETF tag) or the nearest there is; it never fails."""
        ...


def day(value: date) -> str:
    """A local date: 12 Nov 2026."""
    return f"{value.day} {value:%b %Y}"


def how_to_pay(bill: Bill) -> str:
    """The link, or the reference for paying at the office."""
    return bill.payment_url or f"at our office with the reference {bill.reference}"


def nothing_to_say(*, bill: Bill, kind: OwedKind) -> str:
    """Why a customer is told nothing on this occasion by now, or nothing."""
    if bill.status == "void":
        return "the bill is void by now"
    if kind != "bill_issued" and bill.balance_minor <= 0:
        return "the bill is paid by now"
    return ""


@dataclass(frozen=True, slots=True)
class TemplateWriter:
    """Writes from templates, in English; every amount, date and link comes from the bill."""

    utility_name: str

    def write(self, *, bill: Bill, kind: OwedKind, language: str) -> Message:
        """The message of this occasion."""
        writers = {
            "bill_issued": _issued,
            "payment_reminder": _reminder,
            "overdue_notice": _overdue,
        }
        english = language.split("-", maxsplit=1)[0].lower() == LANGUAGE
        note = "" if english else f"no template in {language}, so in English"
        return Message(f"{writers[kind](bill)}\n{self.utility_name}", TEMPLATE, note)


@dataclass(frozen=True, slots=True)
class WriteMessage:
    """Step 11: has the message written, and leaves the facts "text" and "written_by" behind."""

    database: DatabaseService
    writer: MessageWriter

    def __call__(self, *, bill: Bill, kind: OwedKind, facts: Mapping[str, str]) -> StepDone:
        """Write it in the customer's language; a bill void or paid by now gets an empty text."""
        del facts
        bill = self.database.bill(bill.id)
        if reason := nothing_to_say(bill=bill, kind=kind):
            return StepDone(f"nothing to write: {reason}", facts={"text": "", "reason": reason})
        contact = self.database.customer_contact(bill.customer_id)
        message = self.writer.write(bill=bill, kind=kind, language=contact.language)
        by = "from a template" if message.written_by == TEMPLATE else f"by {message.written_by}"
        detail = f"written {by}" + (f" ({message.note})" if message.note else "")
        return StepDone(detail, facts={"text": message.text, "written_by": message.written_by})


def _issued(bill: Bill) -> str:
    used = (
        f"Your electricity bill {bill.reference} is ready. From {day(bill.period_start)} to "
        f"{day(bill.period_end)} you used {format_kwh(bill.consumption_wh)} kWh. "
        f"The bill is {bill.money(bill.total_minor).display()}."
    )
    if bill.balance_minor <= 0:
        return f"{used} There is nothing to pay."
    paid = ""
    if bill.amount_paid_minor:
        left = bill.money(bill.balance_minor).display()
        paid = f" {bill.money(bill.amount_paid_minor).display()} is paid, {left} is left."
    return f"{used}{paid} Please pay{_by(bill)}.\n{_where(bill)}"


def _reminder(bill: Bill) -> str:
    left = bill.money(bill.balance_minor).display()
    return (
        f"A reminder: {left} of your electricity bill {bill.reference} is still to be paid"
        f"{_by(bill)}. If you have just paid, there is nothing to do.\n{_where(bill)}"
    )


def _overdue(bill: Bill) -> str:
    left = bill.money(bill.balance_minor).display()
    due = f" was due on {day(bill.due_date)} and" if bill.due_date else ""
    return (
        f"{left} of your electricity bill {bill.reference}{due} has not been paid. Please pay now. "
        f"If you cannot pay at once, please talk to us.\n{_where(bill)}"
    )


def _by(bill: Bill) -> str:
    return f" by {day(bill.due_date)}" if bill.due_date else ""


def _where(bill: Bill) -> str:
    # On a line of its own: a full stop after a link can become part of it.
    return f"Pay {'here: ' if bill.payment_url else ''}{how_to_pay(bill)}"
