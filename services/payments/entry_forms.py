"""What the office types in a form about money, checked before anything else looks at it."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from services.languages.sentence import N_, sentence, sentence_of
from services.quantities.money import InvalidMoney, Money
from services.quantities.typed import typed_money

EARLIEST: Final = date(2000, 1, 1)
# Beyond any bill there is, and far from what a bigint cannot hold.
MOST_MINOR: Final = 10**15
NEEDS_REFERENCE: Final = frozenset({"cheque", "bank", "mobile_money"})


class InvalidEntry(ValueError):
    """What was typed cannot be stored as it is; the sentence says what to change."""


def _line(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    text = " ".join(value.split())
    if not text.isprintable():
        raise ValueError("must be printable")
    return text


Line = Annotated[str, BeforeValidator(_line), Field(max_length=200)]
Reason = Annotated[str, BeforeValidator(_line), Field(min_length=1, max_length=200)]


class _Entry(BaseModel):
    """A form; a field it does not know is a mistake of the page."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PaymentEntry(_Entry):
    """A payment: `apply` says what it pays, "bill" being the bill it is for and no other."""

    amount: Line
    method: Literal["cash", "cheque", "bank", "mobile_money", "card"]
    received_on: date
    reference: Annotated[str, BeforeValidator(_line), Field(max_length=100)] = ""
    apply: Literal["oldest", "bill", "none"] = "oldest"


class AdjustmentEntry(_Entry):
    """A credit or a fee, and why."""

    kind: Literal["credit", "fee"]
    amount: Line
    note: Reason


class AmountEntry(_Entry):
    """An amount of something that is there, and why."""

    amount: Line
    note: Reason


class ReasonEntry(_Entry):
    """Why something is taken back."""

    reason: Reason


_PROBLEMS: Final = {
    "amount": N_("Say how much: an amount such as 540.35."),
    "method": N_("Say how it was paid."),
    "received_on": N_("Say on which day it was received."),
    "reference": N_("A reference is at most 100 printable characters."),
    "apply": N_("Say what the payment is for."),
    "note": N_("Say what it is for, in at most 200 characters: it stands on the statement."),
    "reason": N_("Say why, in at most 200 characters: the reason is kept."),
}
_REFERENCE: Final = {
    "cheque": N_(
        "Give the number of the cheque as the reference: it is how the money is found again."
    ),
    "bank": N_(
        "Give the reference of the transfer as the reference: it is how the money is found again."
    ),
}
_OF_MOBILE_MONEY: Final = N_(
    "Give the transaction number of the mobile money as the reference: it is how the money is "
    "found again."
)
Entry = TypeVar("Entry", bound=_Entry)


def parse_entry(kind: type[Entry], body: Mapping[str, Any]) -> Entry:
    """A form's fields as `kind`; raises InvalidEntry with a sentence for whoever typed them."""
    try:
        return kind.model_validate(dict(body))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        said = _PROBLEMS.get(name) or sentence(
            "There is no field called {name}.", name=repr(name[:60])
        )
        raise InvalidEntry(said) from None


def amount_above_zero(text: str, *, currency: str, otherwise: str = "") -> Money:
    """The amount that somebody typed, exactly. Raises InvalidEntry.

    `otherwise` says what to do instead for who typed one below 0.
    """
    if not text:
        raise InvalidEntry(_PROBLEMS["amount"])
    try:
        amount = typed_money(text, currency=currency)
    except InvalidMoney as error:
        raise InvalidEntry(sentence_of(error)) from None
    if amount.minor <= 0:
        said = sentence("{typed} is not above 0.", typed=text)
        if otherwise:
            instead = sentence(otherwise)
            said = sentence("{problem} {instead}", problem=said, instead=instead)
        raise InvalidEntry(said)
    if amount.minor > MOST_MINOR:
        raise InvalidEntry(
            sentence("{amount} is more than can be right: check the amount.", amount=amount)
        )
    return amount


def check_received_on(day: date, *, today: date) -> None:
    """That a payment is not from the future, nor from another age; raises InvalidEntry."""
    if day > today:
        raise InvalidEntry(
            sentence("{day} is in the future: a payment is entered once it came.", day=day)
        )
    if day < EARLIEST:
        raise InvalidEntry(sentence("{day} is too long ago: check the year.", day=day))


def check_reference(method: str, reference: str) -> None:
    """That money which leaves a trace elsewhere says which; raises InvalidEntry."""
    if method in NEEDS_REFERENCE and not reference:
        said = _REFERENCE.get(method, _OF_MOBILE_MONEY)
        raise InvalidEntry(sentence(said))
