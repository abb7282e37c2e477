"""Overview: money billed and collected, what is open, and what needs somebody's attention."""

from datetime import date

import streamlit as st

from pages.languages.words import _, ngettext
from pages.registry import BILLS, DRAFTS, FLAGGED_READINGS, JOBS, OVERVIEW, PAYMENTS
from pages.shared.charts import billed_and_collected
from pages.shared.format import count, counted, money, month
from pages.shared.header import show_header
from pages.shared.permitted import page_link
from pages.shared.session import may, now, require_permission, scheduler, services, today
from pages.system.first_steps import show_first_steps
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.records.overview import CurrencyFigures, Overview


def show_currency(figures: CurrencyFigures, *, several: bool, as_of: date | None) -> None:
    """The figures of one currency; nothing is ever added across currencies."""
    currency, this_month = figures.currency, figures.months[-1]
    if several:
        st.subheader(currency, anchor=False)
    name = month(this_month.month)
    late = count(figures.overdue_bills, "bill")
    overdue = _("{bills} as of {day}", bills=late, day=as_of) if as_of else late
    tiles = [
        (
            _("Billed in {month}", month=name),
            this_month.billed_minor,
            count(this_month.bills, "bill"),
        ),
        (
            _("Collected in {month}", month=name),
            this_month.collected_minor,
            _("net of what went back"),
        ),
        (_("Outstanding"), figures.outstanding_minor, count(figures.outstanding_bills, "bill")),
        (_("Overdue"), figures.overdue_minor, overdue),
    ]
    with st.grid(4, min_column_width=150):
        for label, minor, caption in tiles:
            with st.container(border=True, gap=None):
                st.metric(label, money(minor, currency))
                st.caption(caption)
    with st.container(border=True):
        st.markdown(_("**Billed and collected, last 12 months**"))
        billed_and_collected(figures.months, currency)


def show_attention(figures: Overview, *, is_begun: bool) -> None:
    """What a person should look at, each with the way to it.

    While a new utility has first steps to do (`is_begun` is False), quiet needs no words.
    """
    overdue = sum(of.overdue_bills for of in figures.currencies)
    last_runs = [job.last_run for job in scheduler().status(now()).jobs if job.last_run]
    failed = [run for run in last_runs if run.status == "failed" or run.failed_count]
    wanted = [
        (
            figures.flagged,
            counted(figures.flagged, "flagged reading"),
            FLAGGED_READINGS,
            "flag",
            {},
        ),
        (
            figures.flagged_payments,
            counted(figures.flagged_payments, "payment to look at", "payments to look at"),
            PAYMENTS,
            "payments",
            {},
        ),
        (
            figures.bills_to_decide,
            counted(
                figures.bills_to_decide,
                "bill whose money went back",
                "bills whose money went back",
            ),
            PAYMENTS,
            "gavel",
            {},
        ),
        (overdue, counted(overdue, "overdue bill"), BILLS, "alarm", {"status": N_("Overdue")}),
        (
            figures.drafts,
            counted(figures.drafts, "draft to issue", "drafts to issue"),
            DRAFTS,
            "draft",
            {},
        ),
        (
            len(failed),
            counted(len(failed), "job with problems", "jobs with problems"),
            JOBS,
            "event_repeat",
            {},
        ),
    ]
    wanted = [one for one in wanted if may(*one[2].needs)]
    is_quiet = not scheduler().doubt and not any(number for number, *__ in wanted)
    if is_quiet and not is_begun:
        return
    with st.container(border=True, gap="small"):
        st.markdown(_("**Needs attention**"))
        if scheduler().doubt:
            label = _("No job runs: the clock is in doubt")
            page_link(JOBS, label=label, icon=":material/schedule:")
        for number, said, page, icon, query in wanted:
            if number:
                page_link(page, label=said, icon=f":material/{icon}:", query_params=query)
        if figures.open_outbox:
            st.caption(
                _(
                    "Links or messages of {bills} are still being worked on in the background.",
                    bills=counted(figures.open_outbox, "bill"),
                )
            )
        if is_quiet:
            st.caption(_(":material/check_circle: Nothing needs you just now."))


principal = require_permission(Permission.VIEW_BILLS)
show_header(OVERVIEW.title)
overview = services().bills.overview(
    today=today(), currency=services().settings.currency, principal=principal
)
shown = [of for of in overview.currencies if not of.is_quiet]
leads = may(Permission.CHANGE_SETTINGS) and not services().settings.demo
is_begun = not leads or not show_first_steps(principal)
show_attention(overview, is_begun=is_begun)
for figures_of_currency in shown:
    show_currency(figures_of_currency, several=len(shown) > 1, as_of=overview.overdue_as_of)
if not shown and is_begun:
    st.info(
        ngettext(
            "Nothing is billed yet. {count} active meter is connected.",
            "Nothing is billed yet. {count} active meters are connected.",
            overview.meters,
        )
    )
