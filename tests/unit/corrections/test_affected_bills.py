"""Which bills a correction touches, what each becomes, and how the difference is told."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.billing.draw_up import MeasuredBill, measured_bill
from services.corrections import affected_bills
from services.corrections.affected_bills import (
    CannotRebill,
    by_reading,
    by_tariff,
    by_versions,
    by_voiding,
    reissue,
    reissued,
)
from services.corrections.bill_changes import (
    AffectedBills,
    BillChange,
    LineChange,
    back_billing_limit,
    beyond,
)
from services.records.bills import Issue
from services.records.corrections import BillChain, ChainBill
from services.records.readings import Meter, Reading
from services.records.tariffs import TariffSpan, TariffVersion

NOW = datetime(2026, 6, 1, 6, tzinfo=UTC)
ISSUE = Issue(at=NOW, on=date(2026, 6, 1), due_days=15)
ENERGY: dict[str, Any] = {"code": "energy", "description": "Energy", "kind": "energy"}
METER = Meter.model_validate(
    {"id": "m", "serial": "M1", "kind": "manual", "dials": 5, "multiplier_milli": 1000}
    | {"status": "active", "opened_on": date(2026, 1, 1), "customer_id": "c", "account_no": "A"}
    | {"customer_name": "House", "address": "", "tariff_id": "t", "tariff_code": "T"}
    | {"tariff_name": "T", "currency": "USD", "registers": ("max_kw",)}
)


def version(
    *charges: Mapping[str, Any], tariff_id: str = "t", since: str = "2020-01-01", **how: Any
) -> TariffVersion:
    definition: dict[str, Any] = {"code": tariff_id, "name": "T", "currency": "USD"} | how
    definition |= {"effective_from": since, "charges": charges or [ENERGY | {"rate": "1"}]}
    return TariffVersion(
        id=f"{tariff_id}-{since}", tariff_id=tariff_id, code=tariff_id, name="T", currency="USD",
        effective_from=date.fromisoformat(since), definition=definition,
    )  # fmt: skip


def read(number: int, kwh: int, **registers: int) -> Reading:
    """The read at the end of the `number`-th month of 2026; 0 is the opening read."""
    on = date(2026, number + 1, 1)
    return Reading.model_validate(
        {"id": f"r{number}", "meter_id": "m", "meter_serial": "M1", "customer_id": "c"}
        | {"account_no": "A", "customer_name": "House", "address": "", "source": "field"}
        | {"status": "accepted", "is_opening": number == 0, "submitted_by": "e", "validation": {}}
        | dict.fromkeys(("supersedes_id", "decided_by", "decided_at", "decision_reason"))
        | dict.fromkeys(("bill_id", "bill_number", "bill_total_minor", "bill_currency"))
        | {"read_at": datetime(on.year, on.month, 1, tzinfo=UTC), "read_on": on}
        | {"created_at": NOW, "register_wh": kwh * 1000, "registers": registers, "quality": 17}
    )


def bill(place: int, **how: Any) -> ChainBill:
    """The bill of a month, of 100 kWh at 1."""
    line = {"code": "energy", "description": "Energy", "tax": False, "quantity": "100"}
    line |= {"unit": "kWh", "rate": "1", "amount_minor": 10_000}
    return ChainBill.model_validate(
        {"id": f"b{place}", "number": place, "meter_id": "m", "meter_serial": "M1"}
        | {"customer_id": "c", "account_no": "A", "customer_name": "House", "address": ""}
        | {"tariff_code": "T", "tariff_name": "T", "tariff_id": "t", "tariff_version_id": "v"}
        | {"opening_reading_id": f"r{place - 1}", "closing_reading_id": f"r{place}"}
        | {"period_start": date(2026, place, 1), "period_end": date(2026, place + 1, 1)}
        | {"opening_wh": 0, "closing_wh": 0, "consumption_wh": 100_000, "multiplier_milli": 1000}
        | {"currency": "USD", "lines": [line], "subtotal_minor": 10_000, "tax_minor": 0}
        | {"total_minor": 10_000, "amount_paid_minor": 0, "balance_minor": 10_000}
        | {"agreement_id": "a", "service_point_id": "p", "service_point_code": "P"}
        | {
            "service_address": "",
            "status": "issued",
            "created_at": NOW,
            "reissues": 0,
            "priced_wrongly": False,
        }
        | dict.fromkeys(("issued_at", "issued_on", "due_date", "overdue_since", "payment_url"))
        | {"void_reason": None}
        | how
    )


def book(*bills: ChainBill, tariffs: tuple[TariffVersion, ...] = (version(),)) -> BillChain:
    reads = tuple(read(n, 1000 + 100 * n) for n in range(len(bills) + 1))
    return BillChain(
        agreement_id="a",
        tail_id="r0",
        tail_reissues=0,
        starts_on=date(2026, 1, 1),
        ends_on=None,
        billing_day=1,
        installations=(),
        spans=(TariffSpan(tariff_id="t", starts_on=None),),
        meter=METER,
        balance_minor=0,
        bills=bills,
        reads=reads,
        tariffs=tariffs,
        intervals=(),
    )


def five(**how: Any) -> BillChain:
    return book(*(bill(n) for n in range(1, 6)), **how)


def corrected(of: BillChain, number: int, kwh: int | None) -> list[BillChange]:
    """The bills reissued where the `number`-th read was another, or none."""
    wrong = of.reads[number]
    right = None
    if kwh is not None:
        right = wrong.model_copy(update={"id": "new", "register_wh": kwh * 1000})
    affected = by_reading(of, wrong, right)
    return reissue(of.with_read(wrong, right), affected, issue=ISSUE, zone=ZoneInfo("UTC"))


def names(affected: list[AffectedBills]) -> list[list[str]]:
    return [[bill.id for bill in one.bills] for one in affected]


class TestTouched:
    def test_a_read_touches_the_bill_that_closes_and_the_one_that_opens_at_it(self) -> None:
        changes = corrected(five(), 2, 1230)
        assert names([c.affected for c in changes]) == [["b2"], ["b3"]]
        made = [change.new for change in changes if change.new]
        assert [new.consumption_wh for new in made] == [130_000, 70_000]
        assert [new.replaces_id for new in made] == ["b2", "b3"]
        # At its old opening read b2 was voided once; at the new read nothing ever was.
        assert [new.reissue_no for new in made] == [1, 0]
        assert [change.difference_minor for change in changes] == [3000, -3000]

    def test_where_the_tariff_looks_back_every_later_bill_too(self) -> None:
        rounding = {"total": {"mode": "down", "to": "10", "carry_forward": True}}
        changes = corrected(five(tariffs=(version(rounding=rounding),)), 2, 1233)
        assert names([c.affected for c in changes]) == [["b2"], ["b3"], ["b4"], ["b5"]]
        totals = [change.after_minor for change in changes]
        # 133, then 67 with the 3 that were carried, and nothing is carried from there.
        assert totals == [13_000, 7_000, 10_000, 10_000]

    def test_a_withdrawn_read_merges_two_bills_and_a_last_one_ends_the_chain(self) -> None:
        (merged,) = corrected(five(), 2, None)
        assert merged.new is not None
        assert (merged.new.opening.id, merged.new.closing.id) == ("r1", "r3")
        assert (merged.new.consumption_wh, merged.difference_minor) == (200_000, 0)
        (ended,) = corrected(five(), 5, None)
        assert (ended.new, ended.due_minor) == (None, -10_000)

    def test_an_opening_read_is_corrected_and_never_withdrawn(self) -> None:
        (first,) = corrected(five(), 0, 1010)
        assert first.difference_minor == -1000
        with pytest.raises(CannotRebill, match="billing begins"):
            corrected(five(), 0, None)

    def test_bills_of_two_tariffs_are_not_merged(self) -> None:
        chain = book(bill(1), bill(2, tariff_id="u", tariff_code="U"))
        with pytest.raises(CannotRebill, match="two tariffs"):
            corrected(chain, 1, None)

    def test_a_version_touches_what_it_priced(self) -> None:
        chain = book(bill(1), bill(2, priced_wrongly=True), bill(3))
        assert names(by_versions(chain)) == [["b2"]]
        assert by_versions(five()) == []

    def test_another_tariff_touches_all_from_a_bill_on(self) -> None:
        other = version(ENERGY | {"rate": "2"}, tariff_id="u")
        chain = five(tariffs=(version(), other))
        affected = by_tariff(chain, first=chain.bills[3])
        chain = chain.on_tariff("u", since=chain.bills[3].period_start)
        changes = reissue(chain, affected, issue=ISSUE, zone=ZoneInfo("UTC"))
        assert [change.after_minor for change in changes] == [20_000, 20_000]

    def test_on_another_tariff_a_bill_counts_to_that_ones_year(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looked_at: list[list[str]] = []

        def noting(**how: Any) -> MeasuredBill:
            looked_at.append([bill.tariff_id for bill in how["inputs"].past])
            return measured_bill(**how)

        monkeypatch.setattr(affected_bills, "measured_bill", noting)
        least: dict[str, Any] = {"code": "least", "description": "Least", "kind": "minimum"}
        least |= {"amount": "1", "per": "year", "of": ["energy"]}
        other = version(ENERGY | {"rate": "2"}, least, tariff_id="u")
        chain = five(tariffs=(version(), other)).on_tariff("u", since=date(2026, 4, 1))
        again = [reissued(chain, bill, "another tariff") for bill in chain.bills[3:]]
        reissue(chain, again, issue=ISSUE, zone=ZoneInfo("UTC"))
        assert looked_at == [["t", "t", "t"], ["u", "t", "t", "t"]]

    def test_only_the_last_bill_is_voided_alone(self) -> None:
        chain = five()
        assert names(by_voiding(chain, chain.bills[-1])) == [["b5"]]
        with pytest.raises(CannotRebill, match="later bill"):
            by_voiding(chain, chain.bills[0])

    def test_a_draft_becomes_a_draft_and_is_owed_by_nobody(self) -> None:
        (change,) = corrected(book(bill(1, status="draft", number=None)), 1, 1130)
        assert change.new is not None
        assert (change.new.status, change.difference_minor, change.due_minor) == ("draft", 3000, 0)

    def test_what_cannot_be_priced_names_the_bill(self) -> None:
        demand = {"code": "d", "description": "D", "kind": "demand", "quantity": "kw", "rate": "1"}
        with pytest.raises(CannotRebill, match=r"INV-000001 cannot be reissued: ."):
            corrected(book(bill(1), tariffs=(version(demand),)), 1, 1130)


class TestDifference:
    def test_lines_of_the_same_words_are_set_side_by_side(self) -> None:
        (change,) = corrected(book(bill(1)), 1, 1130)
        assert change.lines() == [LineChange("energy", "Energy", 10_000, 13_000)]

    def test_other_words_of_the_same_charge_and_new_and_lost_lines(self) -> None:
        def line(code: str, words: str, minor: int) -> dict[str, Any]:
            of = {"code": code, "description": words, "tax": False, "quantity": "1"}
            return of | {"unit": "bill", "rate": "1", "amount_minor": minor}

        lines = [line("energy", "Energy, up to 50", 4000), line("rent", "Rent", 600)]
        (change,) = corrected(book(bill(1, lines=lines, total_minor=4600)), 1, 1130)
        assert change.lines() == [
            LineChange("energy", "Energy", 4000, 13_000),
            LineChange("rent", "Rent", 600, None),
        ]
        assert sum(one.difference_minor for one in change.lines()) == change.difference_minor

    def test_two_merged_bills_are_added_up(self) -> None:
        (change,) = corrected(five(), 2, None)
        assert change.lines() == [LineChange("energy", "Energy", 20_000, 20_000)]


class TestBackBilling:
    @pytest.mark.parametrize(
        ("today", "months", "limit"),
        [
            (date(2026, 11, 27), 12, date(2025, 11, 27)),
            (date(2026, 3, 31), 1, date(2026, 2, 28)),
            (date(2024, 3, 31), 1, date(2024, 2, 29)),
            (date(2026, 1, 15), 1, date(2025, 12, 15)),
            (date(2026, 12, 31), 12, date(2025, 12, 31)),
            (date(2024, 2, 29), 24, date(2022, 2, 28)),
        ],
    )
    def test_the_limit_is_a_day_so_many_months_back(
        self, today: date, months: int, limit: date
    ) -> None:
        assert back_billing_limit(today=today, months=months) == limit

    def test_a_bill_that_begins_on_the_limit_is_within_it(self) -> None:
        changes = corrected(five(), 2, 1230)
        assert beyond(changes, limit=date(2026, 2, 1)) == []
        assert [b.id for b in beyond(changes, limit=date(2026, 2, 1) + timedelta(1))] == ["b2"]
