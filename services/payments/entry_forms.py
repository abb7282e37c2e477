"""What the office types in a form about money, checked before anything else looks at it."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

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
    "amount": "Say how much: an amount such as 540.35.",
    "method": "Say how it was paid.",
    "received_on": "Say on which day it was received.",
    "reference": "A reference is at most 100 printable characters.",
    "apply": "Say what the payment is for.",
    "note": "Say what it is for, in at most 200 characters: it stands on the statement.",
    "reason": "Say why, in at most 200 characters: the reason is kept.",
}
Entry = TypeVar("Entry", bound=_Entry)


def parse_entry(kind: type[Entry], body: Mapping[str, Any]) -> Entry:
    """A form's fields as `kind`; raises InvalidEntry with a sentence for whoever typed them."""
    try:
        return kind.model_validate(dict(body))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        said = _PROBLEMS.get(name, f"There is no field called {name[:60]!r}.")
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
        raise InvalidEntry(str(error)) from None
    if amount.minor <= 0:
        said = f"{text} is not above 0."
        raise InvalidEntry(f"{said} {otherwise}".strip())
    if amount.minor > MOST_MINOR:
        raise InvalidEntry(f"{amount.display()} is more than can be right: check the amount.")
    return amount


def check_received_on(day: date, *, today: date) -> None:
    """That a payment is not from the future, nor from another age; raises InvalidEntry."""
    if day > today:
        raise InvalidEntry(f"{day:%d %b %Y} is in the future: a payment is entered once it came.")
    if day < EARLIEST:
        raise InvalidEntry(f"{day:%d %b %Y} is too long ago: check the year.")


def check_reference(method: str, reference: str) -> None:
    """That money which leaves a trace elsewhere says which; raises InvalidEntry."""
    if method in NEEDS_REFERENCE and not reference:
        what = {"cheque": "number of the cheque", "bank": "reference of the transfer"}
        said = what.get(method, "transaction number of the mobile money")
        raise InvalidEntry(f"Give the {said} as the reference: it is how the money is found again.")
