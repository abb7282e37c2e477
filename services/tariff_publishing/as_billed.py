"""What a bill of the past was priced from, as far as another version of a tariff can use it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.metering.usage_snapshot import usage_of_snapshot
from services.quantities.period import Period
from services.rating import BillingDeterminants, NetBill, Part, UnableToPriceBill, netted
from services.records.tariffs import BilledUse, TariffVersion, versions_within
from services.tariffs import DemandCharge, Tariff, compiled, day_number

_BY_PERIOD: Final = (
    "by_period", "export_by_period", "vah_by_period", "peak_w_by_period", "peak_va_by_period",
    "netted_by_period", "settled_by_period",
)  # fmt: skip
_PAST_PEAKS: Final = {"kw": "past_peaks_w", "kva": "past_peaks_va", "kvar": "past_peaks_var"}


@dataclass(slots=True)
class AsBilled:
    """Bills made with `versions` of one tariff, to be priced again under `tariff`."""

    tariff: Tariff
    versions: Sequence[TariffVersion]
    _known: dict[tuple[str, Period], str | None] = field(default_factory=dict)

    def of(self, bill: BilledUse) -> BillingDeterminants:
        """The usage of a bill; what was measured by other hours than the tariff's is left out.

        Raises UnableToPriceBill where a ratchet looks at more months than the bill did.
        """
        if bill.usage and "trued_up" in bill.usage:
            raise UnableToPriceBill("The bill settles estimated bills before it.")
        usage = (
            usage_of_snapshot(bill.usage)
            if bill.usage
            else BillingDeterminants(wh=bill.consumption_wh)
        )
        self._check_past(usage)
        measured = {name: of for name in _BY_PERIOD if (of := getattr(usage, name))}
        same = dict(self._same_calendars(bill.period)) if measured else {}
        by_period: dict[str, Any] = {
            name: {new: periods[old] for new, old in same.items() if old in periods}
            for name, periods in measured.items()
        }
        # Else a minimum per year, which the bill's own tariff had not, would never be due.
        closes = bill.period_end.year > bill.period_start.year
        return self._netted(replace(usage, closes_year=closes, **by_period), bill)

    def _netted(self, usage: BillingDeterminants, bill: BilledUse) -> BillingDeterminants:
        """Under net metering with the banks that the bill began with, if it had any.

        Raises UnableToPriceBill.
        """
        kept = (bill.usage or {}).get("net")
        before = NetBill.from_json(kept).banks if kept else {}
        (part,), _ = netted(
            [Part(self.tariff, bill.period, usage)],
            opening={name: bank.opening for name, bank in before.items()},
            is_final=any(bank.settled for bank in before.values()),
        )
        return part.usage

    def _check_past(self, usage: BillingDeterminants) -> None:
        ratchets = [c for c in self.tariff.charges if isinstance(c, DemandCharge) and c.ratchet]
        for charge in ratchets:
            months = charge.ratchet.months if charge.ratchet else 0
            if len(getattr(usage, _PAST_PEAKS[charge.quantity])) < months:
                raise UnableToPriceBill(
                    f"{charge.description} ({charge.code}) looks at the demand of {months} earlier "
                    "months, which the bill did not."
                )

    def _same_calendars(self, period: Period) -> Iterator[tuple[str, str]]:
        """Calendars of the tariff, each with the one by whose hours these days were billed."""
        for name in self.tariff.calendars or {}:
            if (name, period) not in self._known:
                self._known[name, period] = self._calendar_like(name, period)
            if found := self._known[name, period]:
                yield name, found

    def _calendar_like(self, name: str, period: Period) -> str | None:
        billed = versions_within(self.versions, period=period)
        for other in billed[0][0].tariff.calendars or {}:
            if all(
                other in (version.tariff.calendars or {})
                and np.array_equal(
                    _periods(version.tariff, other, days), _periods(self.tariff, name, days)
                )
                for version, days in billed
            ):
                return other
        return None


def _periods(tariff: Tariff, calendar: str, days: Period) -> npt.NDArray[np.str_]:
    """The name of the period of each half hour of these days."""
    rule = compiled(tariff, calendar)
    rows = rule.rows(np.arange(day_number(days.start), day_number(days.end)))
    return np.array(rule.periods)[rows]
