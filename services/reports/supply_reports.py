"""Reports of energy: reads that are missing or estimated, what is not billed, losses, a year."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Final

from services.database.service import DatabaseService
from services.graph.answers import TransformerBalance
from services.languages.sentence import sentence
from services.quantities.money import Money, round_half_up, scaled_text
from services.records.reports.rows import CollectionRow, RevenueRow, YearCounts
from services.reports.definitions import Asked, Row
from services.reports.money_reports import kwh

# The balances of the supply periods that touch some days.
Balances = Callable[[date, date], Sequence[TransformerBalance]]
_KINDS: Final[Mapping[str, str]] = {
    "estimated": sentence("estimated"),
    "not read": sentence("not read"),
}
_REASONS: Final[Mapping[str, str]] = {
    "no_access": sentence("no access"),
    "dog": sentence("dog"),
    "damaged": sentence("damaged"),
    "not_found": sentence("not found"),
    "locked": sentence("locked"),
    "other": sentence("other"),
}
_ALL: Final = sentence("all")


@dataclass(frozen=True, slots=True)
class SupplyReports:
    """The rows of these reports; without `balances` there is no graph, and no losses are known."""

    database: DatabaseService
    balances: Balances | None = None

    def reads(
        self, asked: Asked, after: tuple[str, str] | None, limit: int
    ) -> tuple[list[Row], tuple[str, str] | None]:
        """Reads that were estimated, and meters that could not be read."""
        found, following = self.database.report_reads(
            start=asked.start, until=asked.until, after=after, limit=limit
        )
        rows: list[Row] = [
            (
                row.on_date,
                _KINDS.get(row.kind, row.kind),
                row.meter_serial,
                row.place,
                row.address,
                None if row.register_wh is None else kwh(row.register_wh),
                _why_not_read(row.reason),
                row.entered_by,
            )
            for row in found
        ]
        return rows, following

    def unbilled(
        self, asked: Asked, after: tuple[str, ...] | None, limit: int
    ) -> tuple[list[Row], tuple[str, ...] | None]:
        """What was measured while nobody had an agreement."""
        found, following = self.database.report_unbilled(
            start=asked.start, until=asked.until, after=after, limit=limit
        )
        rows: list[Row] = [
            (r.place, r.address, r.meter_serial, r.since, r.until, kwh(r.consumption_wh))
            for r in found
        ]
        return rows, following

    def losses(self, asked: Asked) -> list[Row]:
        """Each transformer's supply periods, the worst loss first."""
        if self.balances is None:
            return []
        return [
            (
                of.code,
                of.name,
                of.feeder_code,
                of.period_start,
                of.period_end,
                kwh(of.supplied_wh),
                kwh(of.exported_wh),
                kwh(of.billed_wh),
                kwh(of.loss_wh),
                None if of.loss_permille is None else _percent(of.loss_permille),
            )
            for of in self.balances(asked.start, asked.until)
        ]

    def year(self, asked: Asked) -> list[Row]:
        """What a regulator asks for: customers, energy, money and service of some months."""
        revenue = self.database.report_revenue(start=asked.start, until=asked.until)
        collected = self.database.report_collections(start=asked.start, until=asked.until)
        counts = self.database.report_year(start=asked.start, until=asked.until)
        places = sentence("places")
        return [
            *_agreements(counts),
            *_energy(revenue, counts),
            *_money(revenue, collected),
            *self._balances(asked),
            (sentence("Reads estimated"), "", counts.estimated_reads, sentence("reads")),
            (sentence("Disconnections"), "", counts.disconnections, places),
            (sentence("Reconnections"), "", counts.reconnections, places),
        ]

    def _balances(self, asked: Asked) -> list[Row]:
        words = {
            "account": sentence("Receivables at the end"),
            "deposit": sentence("Deposits held at the end"),
            "suspense": sentence("Money of nobody known at the end"),
        }
        return [
            (
                words[of.book],
                "",
                of.money(of.balance_minor if of.book == "account" else -of.balance_minor),
                of.currency,
            )
            for of in self.database.ledger_balances_at(asked.until)
        ]


def _why_not_read(written: str) -> str:
    """The reason of a visit, with the note that the database puts behind it: "dog: at the gate"."""
    code, _colon, note = written.partition(": ")
    reason = _REASONS.get(code, code)
    return sentence("{reason}: {note}", reason=reason, note=note) if note else reason


def _agreements(counts: YearCounts) -> list[Row]:
    figure, unit = sentence("Customers supplied at the end"), sentence("agreements")
    rows: list[Row] = [(figure, of.tariff_code, of.agreements, unit) for of in counts.supplied]
    total = sum(of.agreements for of in counts.supplied)
    return [*rows, (figure, _ALL, total, unit)]


def _energy(revenue: Sequence[RevenueRow], counts: YearCounts) -> list[Row]:
    billed_in_all, not_billed = sentence("Energy billed"), sentence("Not billed of it")
    rows: list[Row] = [
        (billed_in_all, code, kwh(sum(r.consumption_wh for r in of)), "kWh")
        for code, of in _by_tariff(revenue).items()
    ]
    billed, fed = sum(r.consumption_wh for r in revenue), counts.into_network_wh
    rows.append((billed_in_all, _ALL, kwh(billed), "kWh"))
    if fed:
        share = _percent(round_half_up(Fraction(1000 * (fed - billed), fed)))
        rows += [
            (sentence("Energy into the network"), _ALL, kwh(fed), "kWh"),
            (not_billed, _ALL, kwh(fed - billed), "kWh"),
            (not_billed, _ALL, share, "%"),
        ]
    return rows


def _money(revenue: Sequence[RevenueRow], collected: Sequence[CollectionRow]) -> list[Row]:
    rows: list[Row] = []
    for code, of in _by_tariff(revenue).items():
        for currency in sorted({r.currency for r in of}):
            net = sum(r.subtotal_minor for r in of if r.currency == currency)
            rows.append((sentence("Revenue without tax"), code, Money(net, currency), currency))
    for currency in sorted({r.currency for r in (*revenue, *collected)}):
        bills = [r for r in revenue if r.currency == currency]
        money = [c for c in collected if c.currency == currency]
        figures = {
            sentence("Tax billed"): sum(r.tax_minor for r in bills),
            sentence("Billed in all"): sum(r.total_minor for r in bills),
            sentence("Collected, less what went back"): sum(
                c.received_minor - c.returned_minor for c in money
            ),
        }
        rows += [(name, _ALL, Money(of, currency), currency) for name, of in figures.items()]
    return rows


def _by_tariff(revenue: Sequence[RevenueRow]) -> dict[str, list[RevenueRow]]:
    by: dict[str, list[RevenueRow]] = {}
    for row in sorted(revenue, key=lambda row: (row.tariff_code, row.month)):
        by.setdefault(row.tariff_code, []).append(row)
    return by


def _percent(permille: int) -> Decimal:
    return Decimal(scaled_text(permille, places=1))
