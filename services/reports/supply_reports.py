"""Reports of energy: reads that are missing or estimated, what is not billed, losses, a year."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from services.database.service import DatabaseService
from services.graph.answers import TransformerBalance
from services.quantities.money import Money, scaled_text
from services.records.reports.rows import CollectionRow, RevenueRow, YearCounts
from services.reports.definitions import Asked, Row
from services.reports.money_reports import kwh

# The balances of the supply periods that touch some days.
Balances = Callable[[date, date], Sequence[TransformerBalance]]


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
                row.kind,
                row.meter_serial,
                row.place,
                row.address,
                None if row.register_wh is None else kwh(row.register_wh),
                row.reason.replace("_", " "),
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
        return [
            *_agreements(counts),
            *_energy(revenue, counts),
            *_money(revenue, collected),
            *self._balances(asked),
            ("Reads estimated", "", counts.estimated_reads, "reads"),
            ("Disconnections", "", counts.disconnections, "places"),
            ("Reconnections", "", counts.reconnections, "places"),
        ]

    def _balances(self, asked: Asked) -> list[Row]:
        words = {
            "account": "Receivables at the end",
            "deposit": "Deposits held at the end",
            "suspense": "Money of nobody known at the end",
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


def _agreements(counts: YearCounts) -> list[Row]:
    rows: list[Row] = [
        ("Customers supplied at the end", of.tariff_code, of.agreements, "agreements")
        for of in counts.supplied
    ]
    total = sum(of.agreements for of in counts.supplied)
    return [*rows, ("Customers supplied at the end", "all", total, "agreements")]


def _energy(revenue: Sequence[RevenueRow], counts: YearCounts) -> list[Row]:
    rows: list[Row] = [
        ("Energy billed", code, kwh(sum(r.consumption_wh for r in of)), "kWh")
        for code, of in _by_tariff(revenue).items()
    ]
    billed, fed = sum(r.consumption_wh for r in revenue), counts.into_network_wh
    rows.append(("Energy billed", "all", kwh(billed), "kWh"))
    if fed:
        share = Decimal((fed - billed) * 1000 // fed).scaleb(-1)
        rows += [
            ("Energy into the network", "all", kwh(fed), "kWh"),
            ("Not billed of it", "all", kwh(fed - billed), "kWh"),
            ("Not billed of it", "all", share, "%"),
        ]
    return rows


def _money(revenue: Sequence[RevenueRow], collected: Sequence[CollectionRow]) -> list[Row]:
    rows: list[Row] = []
    for code, of in _by_tariff(revenue).items():
        for currency in sorted({r.currency for r in of}):
            net = sum(r.subtotal_minor for r in of if r.currency == currency)
            rows.append(("Revenue without tax", code, Money(net, currency), currency))
    for currency in sorted({r.currency for r in (*revenue, *collected)}):
        bills = [r for r in revenue if r.currency == currency]
        money = [c for c in collected if c.currency == currency]
        figures = {
            "Tax billed": sum(r.tax_minor for r in bills),
            "Billed in all": sum(r.total_minor for r in bills),
            "Collected, less what went back": sum(
                c.received_minor - c.returned_minor for c in money
            ),
        }
        rows += [(name, "all", Money(of, currency), currency) for name, of in figures.items()]
    return rows


def _by_tariff(revenue: Sequence[RevenueRow]) -> dict[str, list[RevenueRow]]:
    by: dict[str, list[RevenueRow]] = {}
    for row in sorted(revenue, key=lambda row: (row.tariff_code, row.month)):
        by.setdefault(row.tariff_code, []).append(row)
    return by


def _percent(permille: int) -> Decimal:
    return Decimal(scaled_text(permille, places=1))
