"""What is said to change at a place: moves, exchanges, tariffs, supply; as forms give it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date


class CannotChangeSupply(ValueError):
    """This cannot be changed so; the text says why and what to do, to a person."""


@dataclass(frozen=True, slots=True)
class TypedRead:
    """A register as a person read it: kWh as typed, further registers by name.

    Without kWh it is the reading that is stored of the day.
    """

    kwh: str = ""
    registers: Mapping[str, str] = field(default_factory=dict)
    rolled_over: bool = False


@dataclass(frozen=True, slots=True)
class Deposit:
    """A security deposit as typed, in the tariff's currency; without an amount there is none."""

    amount: str = ""
    method: str = "cash"
    reference: str = ""


@dataclass(frozen=True, slots=True)
class MoveOut:
    """The agreement of a place ends: `on` is the first local date that is not theirs."""

    service_point_id: str
    on: date
    read: TypedRead
    use_deposit: bool = True


@dataclass(frozen=True, slots=True)
class MoveIn:
    """A customer is supplied at a vacant place from a local date on.

    Without `customer_id` it is a new one, with the account number and name given.
    """

    service_point_id: str
    customer_id: str
    on: date
    read: TypedRead
    tariff_code: str
    account_no: str = ""
    name: str = ""
    phone: str = ""
    email: str = ""
    deposit: Deposit = Deposit()


@dataclass(frozen=True, slots=True)
class Stay:
    """Whoever moved out last did not: the agreement goes on; its final bill is one like others."""

    service_point_id: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """Another meter takes the place of the one that is there, on a local date."""

    service_point_id: str
    on: date
    last: TypedRead
    serial: str
    first: TypedRead
    kind: str = "manual"
    dials: int = 5
    multiplier: str = "1"


@dataclass(frozen=True, slots=True)
class OtherMultiplier:
    """The meter of a place has had another multiplying factor since a local date."""

    service_point_id: str
    on: date
    read: TypedRead
    multiplier: str


@dataclass(frozen=True, slots=True)
class OtherTariff:
    """The agreement of a place is on another tariff from a local date on."""

    service_point_id: str
    on: date
    tariff_code: str


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The supply of a place is cut on a local date, while the agreement goes on."""

    service_point_id: str
    on: date
    read: TypedRead


@dataclass(frozen=True, slots=True)
class Reconnect:
    """A supply that was cut comes back on a local date; `fee` as typed, empty for none."""

    service_point_id: str
    on: date
    read: TypedRead
    fee: str = ""


@dataclass(frozen=True, slots=True)
class NotDisconnected:
    """Who is said to be disconnected was not."""

    service_point_id: str


@dataclass(frozen=True, slots=True)
class NotReconnected:
    """Who was said to be reconnected last was not; the fee is taken back."""

    service_point_id: str


@dataclass(frozen=True, slots=True)
class Connect:
    """A customer, new or known, is connected at a new place, with a meter that is new there."""

    on: date
    account_no: str
    name: str
    address: str
    serial: str
    tariff_code: str
    read: TypedRead
    phone: str = ""
    email: str = ""
    kind: str = "manual"
    dials: int = 5
    multiplier: str = "1"
    access_note: str = ""
    # An account that is known already: name, phone and e-mail are its own.
    known: bool = False
    deposit: Deposit = Deposit()


Change = (
    MoveOut
    | MoveIn
    | Stay
    | Exchange
    | OtherMultiplier
    | OtherTariff
    | Disconnect
    | Reconnect
    | NotDisconnected
    | NotReconnected
    | Connect
)
