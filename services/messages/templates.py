"""Messages to customers: templates in plain words, and who else may write them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Protocol

from services.database.service import DatabaseService
from services.messages.facts import (
    BILLS_IN_ARREARS,
    CUT_FROM,
    DUNNING,
    IN_ARREARS,
    LATE_FEE,
    NO_FACTS,
    NOTICE_DAYS,
    Correction,
    Received,
)
from services.outbox.outbox import StepDone
from services.quantities.counting import count
from services.quantities.energy import format_kwh
from services.records.bills import Bill
from services.records.outbox import LEFT_IN_ALL, TELLS_OF, OutboxKind

TEMPLATE: Final = "template"
LANGUAGE: Final = "en"
# So many with their links stay within what a message may have.
_MOST_NAMED: Final = 8
_BANK_PAYS: Final = "Your bank is paying it, so there is nothing to do."
HEADLINES: Final[dict[OutboxKind, str]] = {
    "bill_issued": "Electricity bill",
    "payment_reminder": "Payment reminder",
    "overdue_notice": "Payment overdue",
    "disconnection_notice": "Disconnection notice",
    "payment_received": "Payment received",
    "bill_corrected": "Electricity bill corrected",
}


@dataclass(frozen=True, slots=True)
class Message:
    """A text for a customer, who wrote it ("template", or a model's name), and a note on why."""

    text: str
    written_by: str
    note: str = ""


class MessageWriter(Protocol):
    """Writes the message for an occasion."""

    def write(
        self, *, bill: Bill, kind: OutboxKind, language: str, facts: Mapping[str, str] = NO_FACTS
    ) -> Message:
        """The message in `language` (an IETF tag) or the nearest there is.

        `facts` describe the payment or the correction that it is about.
        """
        ...


def day(value: date) -> str:
    """A local date: 12 Nov 2026."""
    return f"{value.day} {value:%b %Y}"


def how_to_pay(bill: Bill) -> str:
    """The link, or the reference for paying at the office; nothing while the bank is paying."""
    if bill.spared_because == "bank_debit":
        return "nothing now: your bank is paying it"
    return bill.payment_url or f"at our office with the reference {bill.reference}"


@dataclass(frozen=True, slots=True)
class TemplateWriter:
    """Writes from templates, in English; amounts, dates and links come from bill and facts."""

    utility_name: Callable[[], str]

    def write(
        self, *, bill: Bill, kind: OutboxKind, language: str, facts: Mapping[str, str] = NO_FACTS
    ) -> Message:
        """The message of this occasion."""
        english = language.split("-", maxsplit=1)[0].lower() == LANGUAGE
        note = "" if english else f"no template in {language}, so in English"
        return Message(f"{_text(bill, kind, facts)}\n{self.utility_name()}", TEMPLATE, note)


@dataclass(frozen=True, slots=True)
class WriteMessage:
    """Step 11: has the message written, and leaves the facts "text" and "written_by" behind."""

    database: DatabaseService
    writer: MessageWriter
    today: Callable[[], date]

    def __call__(self, *, bill: Bill, kind: OutboxKind, facts: Mapping[str, str]) -> StepDone:
        """Write it in the customer's language; where there is nothing to say, an empty text."""
        bill = self.database.bill(bill.id)
        if reason := self.why_unsaid(bill=bill, kind=kind, facts=facts):
            return StepDone(f"nothing to write: {reason}", facts={"text": "", "reason": reason})
        facts = self.as_of_today(bill, facts)
        contact = self.database.customer_contact(bill.customer_id)
        message = self.writer.write(bill=bill, kind=kind, language=contact.language, facts=facts)
        in_all, others = self._other_bills(bill, facts)
        text = f"{message.text}{others}"
        by = "from a template" if message.written_by == TEMPLATE else f"by {message.written_by}"
        detail = f"written {by}" + (f" ({message.note})" if message.note else "")
        written = {"text": text, "written_by": message.written_by, LEFT_IN_ALL: in_all}
        return StepDone(detail, facts=written | {"said_of": self._said_of(bill, facts)})

    def why_unsaid(self, *, bill: Bill, kind: OutboxKind, facts: Mapping[str, str]) -> str:
        """Why this message is no longer sent, or nothing."""
        return self.database.why_unsaid(
            bill_id=bill.id, kind=kind, occasion=facts.get("occasion", ""), today=self.today()
        )

    def as_of_today(self, bill: Bill, facts: Mapping[str, str]) -> Mapping[str, str]:
        """The facts, the day on which the message is sent, and what an account owes by then."""
        today = self.today()
        said = {**facts, "today": today.isoformat()}
        if DUNNING in facts:
            arrears = self.database.dunning.arrears(bill_id=bill.id)
            said[IN_ARREARS] = bill.money(arrears.overdue_minor).display()
            said[BILLS_IN_ARREARS] = str(arrears.bills)
            said[CUT_FROM] = day(today + timedelta(days=int(facts[NOTICE_DAYS])))
        return said

    def by_now(self, *, bill: Bill, kind: OutboxKind, facts: Mapping[str, str]) -> str:
        """The text that was written, or one of today's facts where those have changed since."""
        now = self._said_of(bill, self.as_of_today(bill, facts))
        if facts.get("said_of", "") == now or not facts.get("text"):
            return facts.get("text", "")
        return self(bill=bill, kind=kind, facts=facts).facts["text"]

    def _said_of(self, bill: Bill, facts: Mapping[str, str]) -> str:
        """What a text depends on that may change before it is sent."""
        past = is_past(bill, self.today())
        due = "past" if past else "before"
        said = f"{bill.balance_minor} {bill.payment_url or ''} {due} {bill.spared_because or ''}"
        # The day from which the supply may be cut counts from the day on which it is said.
        return f"{said} {facts[IN_ARREARS]} {facts[CUT_FROM]}" if DUNNING in facts else said

    def _other_bills(self, bill: Bill, facts: Mapping[str, str]) -> tuple[str, str]:
        """What is to pay in all, and the bills that were made together with this one.

        They are of earlier months or of other places; two empty texts where there are none.
        """
        found = [self.database.bill(bill_id) for bill_id in facts.get(TELLS_OF, "").split()]
        others = sorted(
            (b for b in found if b.status != "void"), key=lambda b: (b.period_start, b.reference)
        )
        if not others:
            return "", ""
        elsewhere = any(b.meter_serial != bill.meter_serial for b in others)
        billed = [_also(b, with_meter=elsewhere) for b in others]
        together = [b for b in (bill, *others) if b.currency == bill.currency]
        left = bill.money(sum(max(b.balance_minor, 0) for b in together)).display()
        if (more := len(billed) - _MOST_NAMED) > 0:
            names = "The statement of account names all."
            billed[_MOST_NAMED:] = [f"And {count(more, 'more bill')}. {names}"]
        # First what is to be paid: where a message is cut short, it is at its end.
        return left, "\n".join([f"\nTo pay in all: {left}. Also billed:", *billed])


def _also(bill: Bill, *, with_meter: bool) -> str:
    """A bill that another one's message mentions, with the link that pays it."""
    of = f", meter {bill.meter_serial}" if with_meter else ""
    pay = f" {bill.payment_url}" if bill.payment_url and bill.balance_minor > 0 else ""
    total = bill.money(bill.total_minor).display()
    return (
        f"{bill.reference}{of}, {day(bill.period_start)} to {day(bill.period_end)}: {total}.{pay}"
    )


def _text(bill: Bill, kind: OutboxKind, facts: Mapping[str, str]) -> str:
    if kind == "payment_received":
        return _thanks(bill, Received.of(facts), facts)
    if kind == "bill_corrected":
        return _corrected(bill, Correction.of(facts), facts)
    if kind == "bill_issued":
        return _issued(bill, facts)
    if kind == "disconnection_notice":
        return _disconnection(bill, facts)
    return _reminder(bill) if kind == "payment_reminder" else _overdue(bill, facts)


def _issued(bill: Bill, facts: Mapping[str, str]) -> str:
    used = f"Your electricity bill {bill.reference} is ready. {_used(bill)}"
    if bill.balance_minor <= 0:
        return f"{used} There is nothing to pay."
    if bill.spared_because == "bank_debit":
        return f"{used} {_BANK_PAYS}"
    paid = ""
    if bill.amount_paid_minor:
        left = bill.money(bill.balance_minor).display()
        paid = f" {bill.money(bill.amount_paid_minor).display()} is paid, {left} is left."
    please = f"Please pay{_by(bill)}."
    if is_late(bill, facts):
        please = f"It was due{_on(bill)}. Please pay now."
    return f"{used}{paid} {please}\n{_where(bill)}"


def _used(bill: Bill) -> str:
    """What was used and what that comes to; of a bill that settles others, since when in all."""
    total = bill.money(bill.total_minor).display()
    if bill.settles_since is not None:
        return (
            f"The meter was read: from {day(bill.settles_since)} to {day(bill.period_end)} you "
            f"used {format_kwh(bill.settled_wh)} kWh in all. The bill charges that, less what was "
            f"billed for it before: {total}."
        )
    return (
        f"From {day(bill.period_start)} to {day(bill.period_end)} you used "
        f"{format_kwh(bill.consumption_wh)} kWh{_estimated(bill)}. The bill is {total}."
    )


def _estimated(bill: Bill) -> str:
    """That the closing read was estimated, and what becomes of it."""
    if bill.closing_source != "estimated":
        return ""
    return " (estimated, as the meter was not read; the next reading settles the difference)"


def _reminder(bill: Bill) -> str:
    left = bill.money(bill.balance_minor).display()
    return (
        f"A reminder: {left} of your electricity bill {bill.reference} is still to be paid"
        f"{_by(bill)}. If you have just paid, there is nothing to do.\n{_where(bill)}"
    )


def _overdue(bill: Bill, facts: Mapping[str, str]) -> str:
    left = bill.money(bill.balance_minor).display()
    due = f" was due on {day(bill.due_date)} and" if bill.due_date else ""
    said = f"{left} of your electricity bill {bill.reference}{due} has not been paid."
    if facts.get(BILLS_IN_ARREARS, "1") != "1":
        bills = count(int(facts[BILLS_IN_ARREARS]), "bill")
        said += f" In all {facts[IN_ARREARS]} of {bills} is overdue."
    return (
        f"{said}{_late_fee(bill, facts)} Please pay now. "
        f"If you cannot pay at once, please talk to us.\n{_where(bill)}"
    )


def _disconnection(bill: Bill, facts: Mapping[str, str]) -> str:
    since = f" since {day(bill.due_date)}" if bill.due_date else ""
    return (
        f"Disconnection notice for account {bill.account_no}: {facts[IN_ARREARS]} of "
        f"{count(int(facts[BILLS_IN_ARREARS]), 'electricity bill')} has been overdue{since}."
        f"{_late_fee(bill, facts)} If it is not paid, your supply may be disconnected from "
        f"{facts[CUT_FROM]} on. If you dispute it or cannot pay, please talk to us before then.\n"
        f"{_where(bill)}"
    )


def _late_fee(bill: Bill, facts: Mapping[str, str]) -> str:
    """That a late fee was charged with this step."""
    if LATE_FEE not in facts:
        return ""
    fee = bill.money(int(facts[LATE_FEE])).display()
    return f" A late payment fee of {fee} has been charged to your account."


def _thanks(bill: Bill, received: Received, facts: Mapping[str, str]) -> str:
    thanks = (
        f"Thank you: we have received your payment of {received.amount.display()} "
        f"on {day(received.on)}."
    )
    if bill.status == "void":
        return f"{thanks} Your electricity bill {bill.reference} is void: the money stays with you."
    if bill.balance_minor <= 0:
        return f"{thanks} Your electricity bill {bill.reference} is paid."
    return f"{thanks} {_left(bill, facts)}"


def _corrected(bill: Bill, correction: Correction, facts: Mapping[str, str]) -> str:
    said = (
        f"We have corrected your electricity bills. {correction.voided} no longer holds; instead: "
        f"{correction.issued}. Together that is {correction.in_words}. What you have paid still "
        "counts."
    )
    left = _left(bill, facts) if bill.balance_minor > 0 else "There is nothing to pay."
    return f"{said} {left}"


def _left(bill: Bill, facts: Mapping[str, str]) -> str:
    left = bill.money(bill.balance_minor).display()
    if bill.spared_because == "bank_debit":
        return f"{left} of your electricity bill {bill.reference} is open. {_BANK_PAYS}"
    by = f"; it was due{_on(bill)}" if is_late(bill, facts) else _by(bill)
    return f"{left} of your electricity bill {bill.reference} is left to pay{by}.\n{_where(bill)}"


def _by(bill: Bill) -> str:
    return f" by {day(bill.due_date)}" if bill.due_date else ""


def _on(bill: Bill) -> str:
    return f" on {day(bill.due_date)}" if bill.due_date else ""


def is_past(bill: Bill, today: date) -> bool:
    """Whether a bill's due date is over."""
    return bill.due_date is not None and bill.due_date < today


def is_late(bill: Bill, facts: Mapping[str, str]) -> bool:
    """Whether a bill's due date is over on the day of the facts ("today")."""
    return "today" in facts and is_past(bill, date.fromisoformat(facts["today"]))


def _where(bill: Bill) -> str:
    # On a line of its own: a full stop after a link can become part of it.
    return f"Pay {'here: ' if bill.payment_url else ''}{how_to_pay(bill)}"
