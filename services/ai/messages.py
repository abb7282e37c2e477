"""Messages that AI words and code fills in; where it cannot, the template's text is used."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from babel.dates import format_date

from services.ai.answers import NoAiAnswer, plain_line
from services.ai.questions import locale_of
from services.languages.sentence import sentence
from services.languages.writing import money, number
from services.messages.facts import DUNNING, NO_FACTS, Correction, Received
from services.quantities.energy import format_kwh
from services.quantities.money import Money
from services.records.bills import Bill
from services.records.outbox import OutboxKind

if TYPE_CHECKING:
    from services.ai.service import AiService

Written_co = TypeVar("Written_co", bound="WrittenMessage", covariant=True)


class Writer(Protocol[Written_co]):
    """Writes the message of an occasion about a bill, in a language (an IETF tag)."""

    def write(
        self, *, bill: Bill, kind: OutboxKind, language: str, facts: Mapping[str, str] = NO_FACTS
    ) -> Written_co:
        """The message; `facts` describe the payment or the correction that it is about."""
        ...


class WrittenMessage(Protocol):
    """A message, who worded it, and a note on why."""

    @property
    def text(self) -> str:
        """Ready to be sent."""
        ...

    @property
    def written_by(self) -> str:
        """ "template", or AI with the model's name."""
        ...

    @property
    def note(self) -> str:
        """What a person should know about that, or nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Worded:
    """A text that AI worded, its values filled in and checked, and the model."""

    text: str
    written_by: str


@dataclass(frozen=True, slots=True)
class AiMessageWriter(Generic[Written_co]):
    """Lets AI word messages, and `otherwise` those that AI cannot.

    `message` makes a message of a text, who wrote it, and a note: the class of `otherwise`'s.
    """

    ai: "AiService"
    otherwise: Writer[Written_co]
    message: Callable[[str, str, str], Written_co]
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def write(
        self, *, bill: Bill, kind: OutboxKind, language: str, facts: Mapping[str, str] = NO_FACTS
    ) -> Written_co:
        """AI's message, checked, or else the template's with a note on why."""
        try:
            _refuse_what_ai_does_not_know(bill, kind, facts)
            worded = self.ai.write_message(
                bill=bill, kind=kind, language=language, facts=facts, now=self.clock()
            )
        except NoAiAnswer as why:
            written = self.otherwise.write(bill=bill, kind=kind, language=language, facts=facts)
            note = " ".join(filter(None, (str(why), written.note)))
            return self.message(written.text, written.written_by, note)
        return self.message(worded.text, worded.written_by, "")


def _refuse_what_ai_does_not_know(bill: Bill, kind: str, facts: Mapping[str, str]) -> None:
    # AI is given occasions whose due date is still to come.
    late = bill.due_date and facts.get("today", "") > bill.due_date.isoformat()
    if DUNNING in facts:
        raise NoAiAnswer(sentence("AI not asked: the law says what a step of dunning must say."))
    if kind.startswith("autopay") or bill.spared_because == "autopay":
        raise NoAiAnswer(sentence("AI not asked: it knows nothing of autopay."))
    if bill.spared_because == "bank_debit":
        raise NoAiAnswer(sentence("AI not asked: the customer's bank is paying the bill."))
    if kind == "bill_issued" and (bill.closing_source == "estimated" or bill.settles_since):
        raise NoAiAnswer(sentence("AI not asked: it gets no estimated readings."))
    if late and kind != "overdue_notice" and bill.balance_minor > 0:
        raise NoAiAnswer(sentence("AI not asked: the due date has passed."))


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a message is for, the placeholders that AI may use, and those it must."""

    name: str
    offered: tuple[str, ...]
    required: tuple[str, ...]


_TOLD: Final = {
    "bill_issued": "a bill is ready",
    "payment_reminder": "a reminder that a bill will be due soon",
    "overdue_notice": "a bill is overdue",
}
_ALWAYS: Final = ("name", "utility", "period", "reference", "amount")


def occasion_of(kind: str, bill: Bill, facts: Mapping[str, str] = NO_FACTS) -> Occasion:
    """What the message of a kind says about this bill. Raises NoAiAnswer for an unknown kind."""
    if kind == "payment_received":
        return _thanks(bill)
    if kind == "bill_corrected":
        return _correction(bill, Correction.of(facts))
    if kind not in _TOLD:
        raise NoAiAnswer(sentence("AI not asked: it knows no message for this occasion."))
    if bill.balance_minor <= 0:
        name = f"{_TOLD[kind]}, and there is nothing to pay"
        return Occasion(name, (*_ALWAYS, "usage"), ("amount",))
    offered = (*_ALWAYS, "usage", "due_date", *(["link"] if bill.payment_url else []))
    return Occasion(_TOLD[kind], offered, ("amount", "due_date", _way_to_pay(bill)))


def values_for(
    bill: Bill,
    occasion: Occasion,
    language: str,
    *,
    utility_name: str,
    facts: Mapping[str, str] = NO_FACTS,
) -> dict[str, str]:
    """Our own text for each placeholder that the occasion offers, as the language writes it.

    `facts` describe the payment or the correction that it is about.
    """
    balance = _amount(bill.money(bill.balance_minor), language)
    values = {
        "name": plain_line(bill.customer_name, longest=100),
        "utility": plain_line(utility_name, longest=100),
        "period": f"{_day(bill.period_start, language)} – {_day(bill.period_end, language)}",
        "reference": bill.reference,
        "amount": balance,
        "balance": balance,
        "usage": f"{number(format_kwh(bill.consumption_wh), locale_of(language))} kWh",
        "due_date": _day(bill.due_date, language) if bill.due_date else "",
        "link": bill.payment_url or "",
    }
    if "paid" in occasion.offered:
        received = Received.of(facts)
        values |= {
            "paid": _amount(received.amount, language),
            "paid_on": _day(received.on, language),
        }
    elif "old_bills" in occasion.offered:
        correction = Correction.of(facts)
        values |= {"old_bills": correction.voided, "new_bills": correction.issued}
        values["credit_notes"] = correction.credited
        values["difference"] = _amount(correction.size, language)
    return {name: values[name] for name in occasion.offered}


def _thanks(bill: Bill) -> Occasion:
    name, offered = "thanks for a payment", ("name", "utility", "paid", "paid_on")
    if bill.status == "void":
        return Occasion(name, offered, ("paid",))
    if bill.balance_minor <= 0:
        return Occasion(f"{name}; the bill is paid", (*offered, "reference"), ("paid",))
    return Occasion(
        f"{name}; a part of the bill is left to pay",
        (*offered, "reference", "balance", "due_date", *(["link"] if bill.payment_url else [])),
        ("paid", "balance"),
    )


def _correction(bill: Bill, correction: Correction) -> Occasion:
    if bill.status == "void" or not correction.issued:
        raise NoAiAnswer(sentence("AI not asked: no bill is in the place of the void one."))
    name = "bills were wrong, and new ones take their place"
    said: tuple[str, ...] = ("old_bills", "new_bills")
    if correction.credited:
        said = (*said, "credit_notes")
    if correction.direction:
        name += f", which come to {correction.direction} than before, by the difference"
        said = (*said, "difference")
    offered = ("name", "utility", *said)
    if bill.balance_minor <= 0:
        return Occasion(f"{name}; there is nothing to pay", offered, said)
    to_pay = ("balance", "due_date", "reference", *(["link"] if bill.payment_url else []))
    return Occasion(name, (*offered, *to_pay), (*said, "balance", "due_date", _way_to_pay(bill)))


def _way_to_pay(bill: Bill) -> str:
    # Without a link the bill is paid at the office, where the reference is asked for.
    return "link" if bill.payment_url else "reference"


def _amount(amount: Money, language: str) -> str:
    return money(amount.text, amount.currency, locale_of(language))


def _day(day: date, language: str) -> str:
    written: str = format_date(day, "long", locale=locale_of(language))
    return written
