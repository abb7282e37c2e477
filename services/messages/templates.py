"""Messages to customers: templates in plain words, and who else may write them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Protocol

from services.database.service import DatabaseService
from services.languages.language import Language
from services.languages.sentence import N_
from services.messages.account_texts.autopay import CHARGE
from services.messages.account_texts.charges import CHARGES_DUE, CHARGES_SINCE
from services.messages.facts import (
    BILLS_IN_ARREARS,
    CUT_FROM,
    DUNNING,
    IN_ARREARS,
    NO_FACTS,
    NOTICE_DAYS,
)
from services.messages.wording import is_past, text_of_occasion
from services.outbox.outbox import StepDone
from services.records.bills import Bill
from services.records.outbox import LEFT_IN_ALL, TELLS_OF, OutboxKind

TEMPLATE: Final = "template"
# So many with their links stay within what a message may have.
_MOST_NAMED: Final = 8


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


@dataclass(frozen=True, slots=True)
class TemplateWriter:
    """Writes from templates; amounts, dates and links come from bill and facts."""

    utility_name: Callable[[], str]

    def write(
        self, *, bill: Bill, kind: OutboxKind, language: str, facts: Mapping[str, str] = NO_FACTS
    ) -> Message:
        """The message of this occasion, in English where there is no such language."""
        spoken = Language.of(language)
        known = language.replace("_", "-").partition("-")[0].lower() == spoken.tag
        note = "" if known else f"no template in {language}, so in English"
        said = text_of_occasion(bill, kind, facts, spoken)
        return Message(f"{said}\n{self.utility_name()}", TEMPLATE, note)


@dataclass(frozen=True, slots=True)
class WriteMessage:
    """Step 11: has the message written, and leaves the facts "text" and "written_by" behind."""

    database: DatabaseService
    writer: MessageWriter
    today: Callable[[], date]

    def __call__(self, *, bill: Bill, kind: OutboxKind, facts: Mapping[str, str]) -> StepDone:
        """Write it in the customer's language; where there is nothing to say, an empty text."""
        bill = self.as_it_is(bill)
        if reason := self.why_unsaid(bill=bill, kind=kind, facts=facts):
            return StepDone(f"nothing to write: {reason}", facts={"text": "", "reason": reason})
        contact = self.database.customer_contact(bill.customer_id)
        language = Language.of(contact.language)
        facts = self.as_of_today(bill, facts, language)
        message = self.writer.write(bill=bill, kind=kind, language=contact.language, facts=facts)
        in_all, others = self._other_bills(bill, facts, language)
        text = f"{message.text}{others}"
        by = "from a template" if message.written_by == TEMPLATE else f"by {message.written_by}"
        detail = f"written {by}" + (f" ({message.note})" if message.note else "")
        written = {"text": text, "written_by": message.written_by, LEFT_IN_ALL: in_all}
        return StepDone(detail, facts=written | {"said_of": self._said_of(bill, facts)})

    def as_it_is(self, bill: Bill) -> Bill:
        """A bill as it is by now; what has none stays."""
        return self.database.bill(bill.id) if bill.id else bill

    def why_unsaid(self, *, bill: Bill, kind: OutboxKind, facts: Mapping[str, str]) -> str:
        """Why this message is no longer sent, or nothing."""
        return self.database.why_unsaid(
            bill_id=bill.id,
            customer_id=bill.customer_id,
            kind=kind,
            occasion=facts.get("occasion", ""),
            today=self.today(),
        )

    def as_of_today(
        self, bill: Bill, facts: Mapping[str, str], language: Language
    ) -> Mapping[str, str]:
        """The facts, the day on which the message is sent, and what an account owes by then."""
        today = self.today()
        said = {**facts, "today": today.isoformat()}
        if DUNNING in facts:
            arrears = self.database.dunning.arrears(
                bill_id=bill.id, customer_id=bill.customer_id, today=today
            )
            said[IN_ARREARS] = language.money(bill.money(arrears.overdue_minor))
            said[BILLS_IN_ARREARS] = str(arrears.bills)
            said[CUT_FROM] = language.day(today + timedelta(days=int(facts[NOTICE_DAYS])))
            if arrears.charges_minor and arrears.charges_since:
                said[CHARGES_DUE] = language.money(bill.money(arrears.charges_minor))
                said[CHARGES_SINCE] = language.day(arrears.charges_since)
        if CHARGE in facts and (charge := self.database.autopay.charge(facts[CHARGE])):
            said["amount_minor"] = str(charge.amount_minor)
        return said

    def by_now(
        self, *, bill: Bill, kind: OutboxKind, facts: Mapping[str, str], language: Language
    ) -> str:
        """The text that was written, or one of today's facts where those have changed since."""
        now = self._said_of(bill, self.as_of_today(bill, facts, language))
        if facts.get("said_of", "") == now or not facts.get("text"):
            return facts.get("text", "")
        return self(bill=bill, kind=kind, facts=facts).facts["text"]

    def _said_of(self, bill: Bill, facts: Mapping[str, str]) -> str:
        """What a text depends on that may change before it is sent."""
        past = is_past(bill, self.today())
        due = "past" if past else "before"
        said = f"{bill.balance_minor} {bill.payment_url or ''} {due} {bill.spared_because or ''}"
        if bill.autopay is not None:
            said += f" {bill.autopay.to_its_customer(self.today())}"
        if CHARGE in facts:
            said += f" {facts['amount_minor']}"
        # The day from which the supply may be cut counts from the day on which it is said.
        if DUNNING not in facts:
            return said
        return f"{said} {facts[IN_ARREARS]} {facts[CUT_FROM]} {facts.get(CHARGES_DUE, '')}"

    def _other_bills(
        self, bill: Bill, facts: Mapping[str, str], language: Language
    ) -> tuple[str, str]:
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
        billed = [_also(b, language, with_meter=elsewhere) for b in others]
        together = [b for b in (bill, *others) if b.currency == bill.currency]
        left = language.money(bill.money(sum(max(b.balance_minor, 0) for b in together)))
        if (more := len(billed) - _MOST_NAMED) > 0:
            rest = language.ngettext("And {count} more bill.", "And {count} more bills.", more)
            names = language.gettext("The statement of account names all.")
            billed[_MOST_NAMED:] = [f"{rest} {names}"]
        # First what is to be paid: where a message is cut short, it is at its end.
        in_all = language.gettext("To pay in all: {left}. Also billed:", left=left)
        return left, "\n".join([f"\n{in_all}", *billed])


def _also(bill: Bill, language: Language, *, with_meter: bool) -> str:
    """A bill that another one's message mentions, with the link that pays it."""
    said = (
        N_("{reference}, meter {meter}, {start} to {end}: {total}.")
        if with_meter
        else N_("{reference}, {start} to {end}: {total}.")
    )
    line = language.gettext(
        said,
        reference=bill.reference,
        meter=bill.meter_serial,
        start=bill.period_start,
        end=bill.period_end,
        total=bill.money(bill.total_minor),
    )
    return f"{line} {bill.payment_url}" if bill.payment_url and bill.balance_minor > 0 else line
