"""What an event of Stripe means for us: a pure translation into our own words and minor units.

An event of a kind that we know but cannot read is kept for a person, as are all other kinds.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, ValidationError

from services.languages.sentence import N_
from services.payments.stripe import autopay_events
from services.payments.stripe.autopay_events import AutopayMeaning
from services.payments.stripe.client import UnchargeableAmount, from_stripe_amount
from services.payments.stripe.intents import payment_id_of
from services.quantities.money import UnknownCurrency
from services.quantities.period import local_date
from services.records.reconciliation import EventOutcome

Json = dict[str, Any]

_MOST: Final = 10**14  # Of Stripe's units; it takes no payment near this.
_LAST_SECOND: Final = 253_402_214_400  # The year 9999: what a date can hold.
_NOT_US: Final = N_("An event of a connected account, not of ours.")
_WRONG_MODE: Final = "An event of Stripe's {} mode, and our key is of the other."
_NO_EFFECT: Final = N_("Nothing is done with events of this type.")


class NotAnEvent(ValueError):
    """This is no event of Stripe's; the message says why."""


class _Unreadable(ValueError):
    """The event's object lacks something, or has it in a way that cannot be right."""


@dataclass(frozen=True, slots=True)
class TranslatedEvent:
    """An event as the database takes it: with an `effect`, or with an `outcome` without any."""

    event: Json
    effect: Json | None = None
    outcome: EventOutcome | None = None
    detail: str = ""


def _id_of(value: object) -> object:
    """Stripe gives the id of a thing, or the whole thing in its place."""
    return value.get("id") if isinstance(value, Mapping) else value


_Text = Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-]{1,255}$")]
_Id = Annotated[_Text, BeforeValidator(_id_of)]
_Amount = Annotated[int, Field(strict=True, gt=0, lt=_MOST)]
_AmountOrNone = Annotated[int, Field(strict=True, ge=0, lt=_MOST)]


class _StripeObject(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class _Event(_StripeObject):
    object: Literal["event"]
    id: _Text
    type: Annotated[str, Field(pattern=r"^[a-z0-9_.]{1,255}$")]
    created: Annotated[int, Field(strict=True, gt=0, lt=_LAST_SECOND)]
    livemode: StrictBool
    account: Any = None
    data: Any = None


class _Session(_StripeObject):
    id: _Id
    mode: str = "payment"
    payment_status: Literal["paid", "unpaid", "no_payment_required"]
    payment_intent: _Id | None = None
    payment_link: Any = None
    amount_total: _AmountOrNone | None = None
    currency: str | None = None
    metadata: Any = None


class _Charge(_StripeObject):
    id: _Id
    payment_intent: _Id
    amount_refunded: _AmountOrNone
    currency: str


class _Refund(_StripeObject):
    id: _Id
    payment_intent: _Id
    amount: _Amount
    currency: str
    status: str = ""


class _Dispute(_StripeObject):
    id: _Id
    payment_intent: _Id
    amount: _Amount
    currency: str
    status: str = ""
    reason: Any = None


@dataclass(frozen=True, slots=True)
class _When:
    """When an event happened, and on which local date: never in the future."""

    at: datetime
    on: str


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What a reader found in an event's object."""

    payment_intent: str | None = None
    effect: Json | None = None
    detail: str = ""
    outcome: EventOutcome | None = field(default=None)


def translate(raw: object, *, zone: ZoneInfo, live: bool | None, now: datetime) -> TranslatedEvent:
    """What the database stores of an event, as parsed from Stripe's JSON.

    `live` is the mode of our key, None when its form does not show it. Raises NotAnEvent.
    """
    event = _event(raw)
    found = event.data.get("object") if isinstance(event.data, Mapping) else None
    thing = found if isinstance(found, Mapping) else {}
    at = datetime.fromtimestamp(event.created, UTC)
    header: Json = {"id": event.id, "type": event.type, "created_at": at.isoformat()}
    header |= {"livemode": event.livemode, "object_id": _plain(thing.get("id")) or ""}
    header["payment_intent"] = _plain(_id_of(thing.get("payment_intent")))
    if event.account is not None:
        return TranslatedEvent(header, outcome="ignored", detail=_NOT_US)
    if live is not None and live != event.livemode:
        mode = "live" if event.livemode else "test"
        return TranslatedEvent(header, outcome="ignored", detail=_WRONG_MODE.format(mode))
    when = _When(min(at, now), local_date(min(at, now), zone).isoformat())
    meaning = _meaning(event.type, thing, when)
    header["payment_intent"] = meaning.payment_intent or header["payment_intent"]
    return TranslatedEvent(header, meaning.effect, meaning.outcome, meaning.detail)


def _event(raw: object) -> _Event:
    try:
        return _Event.model_validate(raw)
    except ValidationError as error:
        raise NotAnEvent(f"The body is not an event of Stripe: {_fields(error)}.") from None


def _meaning(kind: str, thing: Mapping[str, Any], when: _When) -> _Meaning:
    reader = _READERS.get(kind)
    if reader is None:
        return _Meaning(outcome="kept", detail=_NO_EFFECT)
    try:
        return reader(thing, when)
    except ValidationError as error:
        why = f"unexpected: {_fields(error)}"
    except (_Unreadable, UnchargeableAmount, UnknownCurrency) as error:
        why = str(error)
    return _Meaning(outcome="kept", detail=f"It cannot be read, look at it at Stripe ({why}).")


def _paid(thing: Mapping[str, Any], when: _When) -> _Meaning:
    session = _Session.model_validate(thing)
    if session.mode == "setup" and (saved := autopay_events.of_session(thing)):
        return _autopay(saved)
    if session.mode != "payment" or session.payment_status == "no_payment_required":
        return _Meaning(outcome="kept", detail=N_("No money came with it."))
    if session.payment_status == "unpaid":
        awaited = {"kind": "payment_awaited"} | _wanted(session)
        return _Meaning(session.payment_intent, awaited, N_("The bank is at it."))
    if session.payment_intent is None or not session.amount_total or not session.currency:
        raise _Unreadable("a payment without its id, amount or currency")
    effect: Json = {"kind": "payment", "payment_id": payment_id_of(session.payment_intent)}
    effect |= _money("amount_minor", session.amount_total, session.currency)
    effect |= {"received_at": when.at.isoformat(), "received_on": when.on}
    return _Meaning(session.payment_intent, effect | _wanted(session))


def _wanted(session: _Session) -> Json:
    """The bill that the link was made for, and for how much, as far as it says so."""
    known = session.metadata if isinstance(session.metadata, Mapping) else {}
    expected = str(known.get("amount_minor", ""))
    wanted: Json = {"bill_id": _uuid(known.get("bill_id"))}
    wanted["link_id"] = _plain(_id_of(session.payment_link))
    if re.fullmatch(r"[0-9]{1,14}", expected):
        wanted["expected_minor"] = int(expected)
        wanted["expected_currency"] = str(known.get("currency", ""))[:3]
    return wanted


def _payment_failed(thing: Mapping[str, Any], when: _When) -> _Meaning:
    del when
    intent = _plain(_id_of(thing.get("payment_intent")))
    return _Meaning(intent, {"kind": "payment_failed"}, N_("The bank refused it: nothing came."))


def _expired(thing: Mapping[str, Any], when: _When) -> _Meaning:
    del when
    if thing.get("mode") == "setup" and (over := autopay_events.of_session(thing)):
        return _autopay(over)
    intent = _plain(_id_of(thing.get("payment_intent")))
    return _Meaning(intent, {"kind": "expired"}, N_("Nobody paid in time: nothing came."))


def _refunded(thing: Mapping[str, Any], when: _When) -> _Meaning:
    charge = _Charge.model_validate(thing)
    effect: Json = {"kind": "refunded", "on_date": when.on}
    effect |= _money("refunded_total_minor", charge.amount_refunded, charge.currency)
    return _Meaning(charge.payment_intent, effect)


def _refund_changed(thing: Mapping[str, Any], when: _When) -> _Meaning:
    refund = _Refund.model_validate(thing)
    if refund.status not in {"failed", "canceled"}:
        return _Meaning(outcome="kept", detail=N_("The refund is under way or done."))
    effect: Json = {"kind": "refund_failed", "refund_id": refund.id, "on_date": when.on}
    effect |= _money("amount_minor", refund.amount, refund.currency)
    return _Meaning(refund.payment_intent, effect)


def _dispute(kind: str) -> Callable[[Mapping[str, Any], _When], _Meaning]:
    def read(thing: Mapping[str, Any], when: _When) -> _Meaning:
        dispute = _Dispute.model_validate(thing)
        effect: Json = {"kind": kind, "dispute_id": dispute.id, "on_date": when.on}
        effect |= _money("amount_minor", dispute.amount, dispute.currency)
        if kind == "dispute_closed":
            effect["result"] = dispute.status if dispute.status in {"won", "lost"} else "closed"
        because = (_plain(dispute.reason) or "no reason given").replace("_", " ")
        detail = f"The customer's bank disputes it: {because}." if kind == "dispute_opened" else ""
        return _Meaning(dispute.payment_intent, effect, detail)

    return read


def _of_intent(thing: Mapping[str, Any], when: _When) -> _Meaning:
    return _autopay(autopay_events.of_intent(thing, at=when.at.isoformat(), on=when.on))


def _of_method(kind: str) -> Callable[[Mapping[str, Any], _When], _Meaning]:
    return lambda thing, _: _autopay(autopay_events.of_method(kind, thing))


def _autopay(found: AutopayMeaning | None) -> _Meaning:
    if found is None:
        return _Meaning(outcome="kept", detail=_NO_EFFECT)
    return _Meaning(found.payment_intent, found.effect, found.detail)


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any], _When], _Meaning]]] = {
    "checkout.session.completed": _paid,
    "checkout.session.async_payment_succeeded": _paid,
    "checkout.session.async_payment_failed": _payment_failed,
    "checkout.session.expired": _expired,
    "charge.refunded": _refunded,
    "refund.failed": _refund_changed,
    "refund.updated": _refund_changed,
    "charge.refund.updated": _refund_changed,
    "charge.dispute.created": _dispute("dispute_opened"),
    "charge.dispute.funds_withdrawn": _dispute("dispute_withdrawn"),
    "charge.dispute.funds_reinstated": _dispute("dispute_reinstated"),
    "charge.dispute.closed": _dispute("dispute_closed"),
    **dict.fromkeys(autopay_events.INTENT_TYPES, _of_intent),
    **{kind: _of_method(kind) for kind in autopay_events.METHOD_TYPES},
}

KNOWN_TYPES: Final = tuple(_READERS)


def _money(name: str, amount: int, currency: str) -> Json:
    code = currency.upper()
    return {name: from_stripe_amount(amount=amount, currency=code), "currency": code}


def _plain(value: object) -> str | None:
    """An id or a word of Stripe's, if it is one."""
    fits = isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_\-]{1,255}", value)
    return value if isinstance(value, str) and fits else None


def _uuid(value: object) -> str | None:
    try:
        return str(UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _fields(error: ValidationError) -> str:
    return ", ".join(sorted({str(e["loc"][0]) if e["loc"] else "it" for e in error.errors()}))
