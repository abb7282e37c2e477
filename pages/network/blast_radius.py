"""The blast radius: which bills would have to be reissued if something is corrected."""

from collections import defaultdict
from collections.abc import Sequence

import streamlit as st

from pages.languages.words import _, ngettext
from pages.registry import BILL
from pages.shared.components import chosen_page, description_list, page_number
from pages.shared.format import (
    BILL_STATUS,
    day,
    escaped,
    grouped,
    kwh,
    moment,
    money,
    period,
)
from pages.shared.permitted import page_link
from pages.shared.session import services, zone
from services.graph import AffectedBill, Graph
from services.identity.auth import Principal
from services.languages.sentence import N_
from services.quantities.money import Money
from services.quantities.spreadsheet import csv_file
from services.records.base import COUNTED_TO
from services.records.bills import invoice_reference
from services.records.corrections import ReachSums, TariffReach
from services.records.readings import Meter, Reading
from services.records.tariffs import TariffVersion

PAGE_SIZE = 20
_READINGS = 24
_COLUMNS = (
    "number",
    "status",
    "account_no",
    "meter_serial",
    "period_start",
    "period_end",
    "currency",
    "total",
    "paid",
)
_TARIFF, _METER, _READING = N_("A tariff version"), N_("A meter"), N_("A reading")


def show_affected(graph: Graph, principal: Principal) -> None:
    """Choose what is wrong; see every bill that a correction would have to reissue."""
    st.caption(
        _(
            "Before you correct something: the bills that were made from it, and for a reading "
            "also those after it, which follow from it."
        )
    )
    asked = st.query_params
    kinds = [_TARIFF, _METER, _READING]
    first = 2 if "reading" in asked else 1 if "meter" in asked else 0
    kind = st.selectbox(_("What is wrong?"), kinds, index=first, format_func=_, key="touched-kind")
    if kind == _TARIFF:
        version = _ask_version(principal)
        if version is not None:
            _show_bills_of(version, graph, principal)
        return
    meter = _ask_meter(principal)
    if meter is None:
        return
    reading = _ask_reading(meter, principal) if kind == _READING else None
    if kind == _READING and reading is None:
        return
    bills = (
        graph.affected_by(reading_id=reading.id)
        if reading
        else graph.affected_by(meter_id=meter.id)
    )
    if not bills:
        _say_that_none_is_touched()
        return
    _show_sums(_reach_of(bills))
    _show_list(bills)


def _ask_version(principal: Principal) -> TariffVersion | None:
    versions = services().tariff_publishing.versions(principal=principal)
    return st.selectbox(
        _("Tariff version"),
        versions,
        format_func=lambda v: _("{code}, from {day}", code=v.code, day=str(v.effective_from)),
        key="touched-version",
        placeholder=_("No tariff is known yet"),
    )


def _ask_meter(principal: Principal) -> Meter | None:
    text = st.text_input(
        _("Meter"),
        value=st.query_params.get("meter", ""),
        key="touched-meter-search",
        type="search",
        placeholder=_("Serial, customer, account or address"),
    )
    if not text:
        return None
    found = services().readings.find_any_meters(text=text, limit=20, principal=principal)
    if not found:
        st.info(_("No meter fits."))
        return None
    if len(found) == 1:
        st.caption(_("Meter {meter}", meter=escaped(_known_by(found[0]))))
        return found[0]
    return st.selectbox(
        _("Which of them?"),
        found,
        index=next((n for n, meter in enumerate(found) if meter.serial == text), 0),
        format_func=_known_by,
        key="touched-meter",
    )


def _known_by(meter: Meter) -> str:
    if meter.removed_on is not None:
        return _(
            "{meter_serial}, removed on {day}",
            meter_serial=meter.serial,
            day=day(meter.removed_on),
        )
    return f"{meter.serial}, {meter.supplied}"


def _ask_reading(meter: Meter, principal: Principal) -> Reading | None:
    asked = st.query_params.get("reading")
    lookups = services().readings
    readings = list(lookups.of_meter(meter_id=meter.id, limit=_READINGS, principal=principal))
    if asked and all(reading.id != asked for reading in readings):
        # A link leads to a read of a longer time ago.
        older = lookups.reading(reading_id=asked, principal=principal)
        readings += [older] if older.meter_id == meter.id else []
    if not readings:
        st.info(_("This meter has no reading."))
        return None
    index = next((n for n, reading in enumerate(readings) if reading.id == asked), 0)
    return st.selectbox(
        _("Reading"),
        readings,
        index=index,
        format_func=lambda r: f"{moment(r.read_at, zone())}: {kwh(r.register_wh)}",
        key=f"touched-reading-{meter.id}",
    )


def _show_bills_of(version: TariffVersion, graph: Graph, principal: Principal) -> None:
    """What all bills of a version add up to, and some of them: a tariff prices most bills."""
    reach = services().tariff_publishing.reach(version_id=version.id, principal=principal)
    if not reach.bills:
        _say_that_none_is_touched()
        return
    _show_sums(reach)
    bills = graph.affected_by(tariff_version_id=version.id)
    if len(bills) < reach.bills:
        st.caption(
            ngettext(
                "{count} bill of {number} listed. The page of the tariff corrects and reissues all "
                "of them.",
                "{count} bills of {number} listed. The page of the tariff corrects and reissues "
                "all of them.",
                len(bills),
                number=reach.bills,
            )
        )
    _show_list(bills)


def _say_that_none_is_touched() -> None:
    st.success(_("No bill hangs on it: it can be corrected freely."), icon=":material/check:")


def _show_list(bills: Sequence[AffectedBill]) -> None:
    st.download_button(
        _("Download the list (CSV)"),
        _as_csv(bills),
        file_name="touched-bills.csv",
        mime="text/csv",
        icon=":material/download:",
    )
    key = "touched-page"
    first = (chosen_page(key) - 1) * PAGE_SIZE
    with st.container(gap="xsmall"):
        for bill in bills[first : first + PAGE_SIZE]:
            _show_row(bill)
    page_number(total=len(bills), page_size=PAGE_SIZE, key=key)


def _reach_of(bills: Sequence[AffectedBill]) -> TariffReach:
    """What listed bills add up to."""
    billed: defaultdict[str, int] = defaultdict(int)
    paid: defaultdict[str, int] = defaultdict(int)
    for bill in bills:
        billed[bill.currency] += bill.total_minor
        paid[bill.currency] += bill.paid_minor
    return TariffReach(
        bills=len(bills),
        issued=sum(bill.status != "draft" for bill in bills),
        customers=len({bill.account_no for bill in bills}),
        sums=tuple(
            ReachSums(currency=currency, total_minor=billed[currency], paid_minor=paid[currency])
            for currency in sorted(billed)
        ),
    )


def _number(counted: int) -> str:
    if counted > COUNTED_TO:
        return _("over {number}", number=COUNTED_TO)
    return grouped(str(counted))


def _show_sums(reach: TariffReach) -> None:
    pairs = [
        (_("Bills"), grouped(str(reach.bills))),
        (_("Issued"), grouped(str(reach.issued))),
        (_("Customers"), _number(reach.customers)),
    ]
    for sums in reach.sums:
        pairs.append((_("Billed"), money(sums.total_minor, sums.currency)))
        pairs.append((_("Paid already"), money(sums.paid_minor, sums.currency)))
    description_list(pairs, least_width=110)


def _name(bill: AffectedBill) -> str:
    return invoice_reference(bill.number) if bill.number is not None else _("Draft")


def _show_row(bill: AffectedBill) -> None:
    label, color = BILL_STATUS[bill.status]
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        page_link(
            BILL,
            label=f"**{_name(bill)}**",
            icon=":material/receipt_long:",
            query_params={"id": bill.bill_id},
            width="content",
        )
        st.caption(
            " · ".join(
                (
                    _("account {account_no}", account_no=escaped(bill.account_no)),
                    _("meter {meter_serial}", meter_serial=escaped(bill.meter_serial)),
                    period(bill.period_start, bill.period_end),
                )
            )
        )
        st.markdown(f"**{escaped(money(bill.total_minor, bill.currency))}**", width="content")
        st.badge(_(label), color=color)


def _as_csv(bills: Sequence[AffectedBill]) -> bytes:
    return csv_file(_COLUMNS, map(_csv_row, bills))


def _csv_row(bill: AffectedBill) -> tuple[object, ...]:
    return (
        bill.number or "",
        bill.status,
        bill.account_no,
        bill.meter_serial,
        bill.period_start,
        bill.period_end,
        bill.currency,
        Money(bill.total_minor, bill.currency),
        Money(bill.paid_minor, bill.currency),
    )
