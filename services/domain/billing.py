"""Drawing up a bill: from two reads and a tariff to everything a bill must say, without any I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5

from services.domain.period import Period
from services.domain.rating import RatedBill, UnableToPriceBill, rate
from services.domain.records import Read, TariffVersion
from services.domain.validation import consumption_wh

# Ids made from what a bill is about: a second run of the same work makes the same bill.
BILL_NAMESPACE = uuid5(NAMESPACE_URL, "electricity-billing/bill")


@dataclass(frozen=True, slots=True)
class Register:
    """What turns two register values into energy; `multiplier_milli` is in thousandths."""

    meter_id: str
    dials: int
    multiplier_milli: int


@dataclass(frozen=True, slots=True)
class Issue:
    """When a bill is issued and due; None in its place leaves the bill a draft."""

    at: datetime
    on: date
    due_days: int

    @property
    def due_date(self) -> date:
        """The local date by which the bill is to be paid."""
        return self.on + timedelta(days=self.due_days)


@dataclass(frozen=True, slots=True)
class NewBill:
    """A bill about to be stored: priced, not numbered yet."""

    id: str
    register: Register
    tariff_version_id: str
    opening: Read
    closing: Read
    consumption_wh: int
    rated: RatedBill
    reissue_no: int
    issue: Issue | None
    owed: dict[str, Any] | None = None
    # What AI made of it, if it was asked (services/ai/second_opinion.py).
    second_opinion: dict[str, Any] | None = None

    @property
    def status(self) -> Literal["issued", "draft"]:
        """Issued at once, or a draft that waits for approval."""
        return "issued" if self.issue else "draft"

    def to_json(self) -> dict[str, Any]:
        """As the database's functions take it: integers and strings only."""
        issue = self.issue
        return {
            "id": self.id,
            "status": self.status,
            "meter_id": self.register.meter_id,
            "tariff_version_id": self.tariff_version_id,
            "opening_reading_id": self.opening.id,
            "closing_reading_id": self.closing.id,
            "period_start": self.opening.read_on.isoformat(),
            "period_end": self.closing.read_on.isoformat(),
            "opening_wh": self.opening.register_wh,
            "closing_wh": self.closing.register_wh,
            "consumption_wh": self.consumption_wh,
            "currency": self.rated.currency,
            "lines": [line.to_json() for line in self.rated.lines],
            "subtotal_minor": self.rated.subtotal_minor,
            "tax_minor": self.rated.tax_minor,
            "total_minor": self.rated.total_minor,
            "reissue_no": self.reissue_no,
            "issued_at": issue.at.isoformat() if issue else None,
            "issued_on": issue.on.isoformat() if issue else None,
            "due_date": issue.due_date.isoformat() if issue else None,
            "owed": self.owed,
            "second_opinion": self.second_opinion,
        }


def bill_id(*, meter_id: str, opening_reading_id: str, reissue_no: int) -> str:
    """The id of the bill that opens at this read, the `reissue_no`-th time it is made."""
    return str(uuid5(BILL_NAMESPACE, f"{meter_id}/{opening_reading_id}/{reissue_no}"))


def draw_up_bill(
    *,
    register: Register,
    opening: Read,
    closing: Read,
    tariffs: Sequence[TariffVersion],
    reissue_no: int,
    issue: Issue | None,
) -> NewBill:
    """Price the energy between two reads with the tariff in force on the period's first day.

    The period is [local date of the opening read, local date of the closing read).
    Raises UnableToPriceBill, EmptyPeriod, InvalidTariff.
    """
    version = version_in_force(tariffs, on=opening.read_on)
    used = consumption_wh(
        opening_wh=opening.register_wh,
        closing_wh=closing.register_wh,
        dials=register.dials,
        multiplier_milli=register.multiplier_milli,
    )
    period = Period(opening.read_on, closing.read_on)
    return NewBill(
        id=bill_id(
            meter_id=register.meter_id, opening_reading_id=opening.id, reissue_no=reissue_no
        ),
        register=register,
        tariff_version_id=version.id,
        opening=opening,
        closing=closing,
        consumption_wh=used,
        rated=rate(tariff=version.tariff, consumption_wh=used, period=period),
        reissue_no=reissue_no,
        issue=issue,
    )


def version_in_force(versions: Sequence[TariffVersion], *, on: date) -> TariffVersion:
    """The latest version effective on or before a local date; raises UnableToPriceBill."""
    in_force = [v for v in versions if v.effective_from <= on]
    if not in_force:
        code = versions[0].code if versions else "this meter's tariff"
        raise UnableToPriceBill(f"No version of {code} is in force on {on:%d %B %Y}.")
    return max(in_force, key=lambda v: v.effective_from)
