"""Messages that AI words and code fills in; where it cannot, the template's text is used."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from babel.dates import format_date

from services.ai.answers import NoAiAnswer, plain_line
from services.ai.questions import locale_of
from services.domain.energy import format_kwh
from services.domain.records import Bill, OwedKind

if TYPE_CHECKING:
    from services.ai.service import AiService

Written_co = TypeVar("Written_co", bound="WrittenMessage", covariant=True)


class Writer(Protocol[Written_co]):
    """Writes the message of an occasion about a bill, in a language (an IETF tag)."""

    def write(self, *, bill: Bill, kind: OwedKind, language: str) -> Written_co:
        """The message; it never fails."""
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

    def write(self, *, bill: Bill, kind: OwedKind, language: str) -> Written_co:
        """AI's message, checked, or else the template's with a note on why; it never fails."""
        try:
            worded = self.ai.write_message(
                bill=bill, kind=kind, language=language, now=self.clock()
            )
        except NoAiAnswer as why:
            written = self.otherwise.write(bill=bill, kind=kind, language=language)
            note = " ".join(filter(None, (str(why), written.note)))
            return self.message(written.text, written.written_by, note)
        return self.message(worded.text, worded.written_by, "")


@dataclass(frozen=True, slots=True)
class Occasion:
    """What AI is told a message is for, the placeholders it may use, and those it must."""

    told: str
    offered: tuple[str, ...]
    required: tuple[str, ...]


_TOLD: Final = {
    "bill_issued": "a bill is ready",
    "payment_reminder": "a reminder that a bill will be due soon",
    "overdue_notice": "a bill is overdue",
    "payment_received": "thanks for a payment",
}
THANKS: Final = "payment_received"
_ALWAYS: Final = ("name", "utility", "period", "reference", "amount")


def occasion_of(kind: str, bill: Bill) -> Occasion:
    """What the message of a kind says about this bill. Raises NoAiAnswer for an unknown kind."""
    if kind not in _TOLD:
        raise NoAiAnswer("AI not asked: it knows no message for this occasion.")
    if kind == THANKS:
        return Occasion(_TOLD[kind], (*_ALWAYS, "balance"), ("amount",))
    if bill.balance_minor <= 0:
        told = f"{_TOLD[kind]}, and there is nothing to pay"
        return Occasion(told, (*_ALWAYS, "usage"), ("amount",))
    # Without a link the bill is paid at the office, where the reference is asked for.
    way_to_pay = "link" if bill.payment_url else "reference"
    offered = (*_ALWAYS, "usage", "due_date", *(["link"] if bill.payment_url else []))
    return Occasion(_TOLD[kind], offered, ("amount", "due_date", way_to_pay))


def values_for(
    bill: Bill,
    occasion: Occasion,
    language: str,
    *,
    utility_name: str,
    paid_minor: int | None = None,
) -> dict[str, str]:
    """Our own text for each placeholder that the occasion offers, dates as the language has them.

    `paid_minor` is the payment that a thank-you is for, without it all that was paid.
    """
    amount = bill.balance_minor
    if occasion.told == _TOLD[THANKS]:
        amount = bill.amount_paid_minor if paid_minor is None else paid_minor
    values = {
        "name": plain_line(bill.customer_name, longest=100),
        "utility": plain_line(utility_name, longest=100),
        "period": f"{_day(bill.period_start, language)} – {_day(bill.period_end, language)}",
        "reference": bill.reference,
        "amount": bill.money(amount).display(),
        "balance": bill.money(bill.balance_minor).display(),
        "usage": f"{format_kwh(bill.consumption_wh)} kWh",
        "due_date": _day(bill.due_date, language) if bill.due_date else "",
        "link": bill.payment_url or "",
    }
    return {name: values[name] for name in occasion.offered}


def _day(day: date, language: str) -> str:
    written: str = format_date(day, "long", locale=locale_of(language))
    return written
