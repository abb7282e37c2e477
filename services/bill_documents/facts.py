"""What a bill prints, put together from what the database knows of it at its issue."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from services.bill_documents import (
    AccountEntry,
    BillDocument,
    MonthOfUse,
    ReadKind,
    RegisterLine,
    RegisterRead,
    Utility,
)
from services.bill_documents.line_names import ChargeName
from services.metering.interval_quality import interval_quality_of
from services.quantities.period import first_of_month
from services.quantities.quality import Quality
from services.records.bills import Bill, BillSegment, invoice_reference
from services.records.readings import Reading, ReadingSource

# This month and the same one a year ago both show.
MONTHS_SHOWN: Final = 13
_KINDS: Final[dict[ReadingSource, ReadKind]] = {
    "field": "actual",
    "smart": "actual",
    "imported": "actual",
    "customer": "customer",
    "estimated": "estimated",
}
_DAY: Final = timedelta(days=1)


class NotIssued(ValueError):
    """A draft has no number and no due date, so there is no bill to print."""


def document_of(
    *,
    bill: Bill,
    opening: Reading,
    closing: Reading,
    utility: Utility,
    language: str,
    brought_forward_minor: int = 0,
    entries: Sequence[AccountEntry] = (),
    used_before: Mapping[date, int] | None = None,
    replaces: int | None = None,
    customer_tax_number: str = "",
    contract_ends_on: date | None = None,
    autopaid: bool = False,
    charge_names: Sequence[ChargeName] = (),
) -> BillDocument:
    """The document of an issued bill. Raises NotIssued.

    `opening` and `closing` are its readings. `brought_forward_minor` is the account's balance
    after the last bill, `entries` what was booked since then and before this bill. `used_before`
    is the meter's Wh by month (its first day), of bills before this one that are not void, in the
    month in which they ended. `replaces` is the number of the void bill that this one corrects,
    `charge_names` what the tariff calls its charges in the language. `contract_ends_on` is the
    first day after the agreement, None while it has no end. `autopaid` says that autopay pays it.
    """
    if bill.number is None or bill.issued_on is None or bill.due_date is None:
        raise NotIssued("A draft cannot be printed: issue the bill first.")
    return BillDocument(
        utility=utility,
        language=language,
        customer_name=bill.customer_name,
        address=bill.address,
        account_no=bill.account_no,
        meter_serial=", ".join(bill.meter_serials),
        tariff_name=bill.tariff_name,
        number=bill.reference,
        issued_on=bill.issued_on,
        due_date=bill.due_date,
        period_start=bill.period_start,
        period_end=bill.period_end,
        registers=_registers(bill, opening, closing),
        multiplier_milli=bill.multiplier_milli,
        consumption_wh=bill.consumption_wh,
        currency=bill.currency,
        lines=bill.lines,
        subtotal_minor=bill.subtotal_minor,
        tax_minor=bill.tax_minor,
        total_minor=bill.total_minor,
        brought_forward_minor=brought_forward_minor,
        entries=tuple(entries),
        months=_months(bill, used_before or {}),
        payment_url=bill.payment_url,
        replaces=None if replaces is None else invoice_reference(replaces),
        service_address=_elsewhere(bill),
        net=bill.net,
        interval_quality=interval_quality_of(bill.usage),
        customer_tax_number=customer_tax_number,
        supply_point=bill.service_point_code,
        contract_ends_on=contract_ends_on,
        autopaid=autopaid,
        charge_names=tuple(charge_names),
    )


def _elsewhere(bill: Bill) -> str:
    """Where the supply is, if that is not the customer's own address."""
    is_same = bill.service_address.split() == bill.address.split()
    return "" if is_same else bill.service_address


def _registers(bill: Bill, opening: Reading, closing: Reading) -> tuple[RegisterLine, ...]:
    """The total, then the further registers as the bill was priced from them."""
    further: Mapping[str, Mapping[str, int]] = (bill.usage or {}).get("registers", {})
    if len(bill.metered) > 1:
        return (*_of_each(bill.metered), *_in_all(bill.consumption_wh, further))
    (one,) = bill.metered
    # Where the bill opens as another meter was removed, that one's last read is not this one's.
    before = _Shown(one.opened_on, one.opening_source or opening.source, one.opening_quality)
    after = _Shown(one.closed_on, one.closing_source or closing.source, one.closing_quality)

    def line(name: str, used: int, first: int, last: int) -> RegisterLine:
        return RegisterLine(name, used, before.value(first), after.value(last))

    return (
        line("", bill.consumption_wh, one.opening_wh, one.closing_wh),
        *(
            RegisterLine(name, of["maximum"])
            if "maximum" in of
            else line(name, of["used"], of["opening"], of["closing"])
            for name, of in further.items()
        ),
    )


def _of_each(segments: Sequence[BillSegment]) -> Iterator[RegisterLine]:
    """What each of several meters, or multipliers, counted."""
    for one in segments:
        before = _Shown(one.opened_on, one.opening_source or "field", one.opening_quality)
        after = _Shown(one.closed_on, one.closing_source or "field", one.closing_quality)
        yield RegisterLine(
            name="",
            used=one.consumption_wh,
            opening=before.value(one.opening_wh),
            closing=after.value(one.closing_wh),
            meter_serial=one.meter_serial,
            multiplier_milli=one.multiplier_milli,
        )


def _in_all(wh: int, further: Mapping[str, Mapping[str, int]]) -> Iterator[RegisterLine]:
    """What several meters came to: sums have no two reads of one meter that explain them."""
    yield RegisterLine("", wh)
    for name, of in further.items():
        yield RegisterLine(name, of["maximum"] if "maximum" in of else of["used"])


@dataclass(frozen=True, slots=True)
class _Shown:
    """When and how the registers of a meter were read, and how sure that is."""

    on: date
    source: ReadingSource
    quality: Quality

    @property
    def kind(self) -> ReadKind:
        if self.source == "estimated":
            return "estimated"
        if self.quality == Quality.MANUALLY_EDITED:
            return "edited"
        return _KINDS[self.source] if self.quality.is_actual else "unsure"

    def value(self, value: int) -> RegisterRead:
        """What one of them showed."""
        return RegisterRead(value=value, on=self.on, kind=self.kind)


def _months(bill: Bill, used_before: Mapping[date, int]) -> tuple[MonthOfUse, ...]:
    last = first_of_month(bill.period_end - _DAY)
    used = {**used_before, last: used_before.get(last, 0) + bill.consumption_wh}
    months = [last]
    while len(months) < MONTHS_SHOWN:
        months.append(first_of_month(months[-1] - _DAY))
    return tuple(MonthOfUse(month, used.get(month)) for month in reversed(months))
