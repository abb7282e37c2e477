"""What is said to be wrong with a bill, and the plan of what correcting it would do."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from services.corrections.bill_changes import BillChange
from services.metering.outcomes import Validation
from services.records.bills import NewBill
from services.records.corrections import BillChain, ChainBill, CorrectionKind
from services.records.readings import Reading
from services.records.tariffs import TariffVersion

CORRECTIONS: Final = uuid5(NAMESPACE_URL, "electricity-billing/correction")


@dataclass(frozen=True, slots=True)
class WrongReading:
    """The read at which a bill opens or closes was another: its kWh and registers as typed.

    None for the kWh withdraws it; None for the registers keeps them. `rolled_over` says that the
    register passed its last digit before it and began again at 0. `read_on` is the local date on
    which it was truly taken; None keeps it.
    """

    bill_id: str
    reading_id: str
    reading_kwh: str | None
    registers: Mapping[str, str] | None = None
    rolled_over: bool = False
    read_on: date | None = None


@dataclass(frozen=True, slots=True)
class WrongTariff:
    """From this bill on the meter is on the tariff with this code."""

    bill_id: str
    tariff_code: str


@dataclass(frozen=True, slots=True)
class WrongVersion:
    """Bills of an agreement that a corrected version of a tariff priced.

    `replacement` takes the place of the version `instead_of` before that is corrected.
    """

    agreement_id: str
    replacement: TariffVersion | None = None
    instead_of: str | None = None


@dataclass(frozen=True, slots=True)
class WrongBill:
    """The last bill of a meter, in whose place there shall be none."""

    bill_id: str


Wrong = WrongReading | WrongTariff | WrongVersion | WrongBill
_OF_ONE_BILL: Final = {of.__name__: of for of in (WrongReading, WrongTariff, WrongBill)}


def wrong_to_json(wrong: Wrong) -> dict[str, Any]:
    """What is wrong with one bill, as JSON; a corrected version is never asked for so."""
    said = asdict(wrong)
    if isinstance(wrong, WrongReading) and wrong.read_on is not None:
        said["read_on"] = wrong.read_on.isoformat()
    return {"what": type(wrong).__name__, **said}


def wrong_of(said: Mapping[str, Any]) -> Wrong:
    """What `wrong_to_json` wrote."""
    values = {name: value for name, value in said.items() if name != "what"}
    if values.get("read_on"):
        values["read_on"] = date.fromisoformat(values["read_on"])
    return _OF_ONE_BILL[said["what"]](**values)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a correction would do: the bills in order, before and after; nothing is stored."""

    kind: CorrectionKind
    chain: BillChain
    changes: tuple[BillChange, ...]
    warning: str = ""
    validation: Validation | None = None
    wrong_read: Reading | None = None
    right_read: Reading | None = None
    tariff_id: str | None = None

    @property
    def difference_minor(self) -> int:
        """What the customer will owe more; below 0, less."""
        return sum(change.due_minor for change in self.changes)

    @property
    def paid_minor(self) -> int:
        """What was paid on the bills that become void; it stays with the account."""
        return sum(bill.amount_paid_minor for bill in self.voided)

    @property
    def voided(self) -> list[ChainBill]:
        """The bills that become void, in order."""
        return [bill for change in self.changes for bill in change.affected.bills]

    @property
    def fingerprint(self) -> str:
        """Two plans with the same do the same to the same bills."""
        said: list[Any] = [self.kind, self.warning, self.tariff_id]
        for change in self.changes:
            said.append([[b.id, b.stored_status] for b in change.affected.bills])
            said.append(_figures(change.new))
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def correction_id_of(plan: Plan) -> str:
    """The id of correcting a meter's bills after their tariff: the same for whoever does it."""
    ids = ",".join(bill.id for bill in plan.voided)
    return str(uuid5(CORRECTIONS, f"version/{plan.chain.agreement_id}/{ids}"))


def _figures(bill: NewBill | None) -> Any:
    """What a bill says, without what differs from one moment or attempt to the next."""
    if bill is None:
        return None
    said = bill.to_json()
    kept = ("status", "period_start", "period_end", "opening_wh", "closing_wh", "currency", "lines")
    return {name: said[name] for name in kept}
