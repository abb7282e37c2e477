"""Versions of a tariff in words: one alone, or two side by side with what changed marked."""

from collections.abc import Sequence

import streamlit as st

from pages.shared.components import status_badge
from pages.shared.format import Color, count, day, escaped, money
from services.quantities.money import MINUS
from services.tariffs import Charge, Tariff
from services.tariffs.describe import Fact, charge_facts
from services.tariffs.version_diff import (
    ChargeChange,
    FactChange,
    TariffChanges,
    changes,
    percent_in_words,
    tariff_facts,
)

_STATUS: dict[str, tuple[str, Color]] = {
    "same": ("The same", "gray"),
    "changed": ("Changed", "orange"),
    "added": ("New", "green"),
    "removed": ("Removed", "red"),
}

# Said by the title already, as long as they stay.
_KNOWN = ("Kind", "On the bill")


def change_in_words(before_minor: int, after_minor: int, currency: str) -> str:
    """From one amount to another: "+₹21.75 (+4.0%)"."""
    change = after_minor - before_minor
    if not change:
        return "the same"
    percent = percent_in_words(before_minor, after_minor)
    amount = f"{'+' if change > 0 else MINUS}{money(abs(change), currency)}"
    return f"{amount} ({percent})" if percent else amount


def show_version(tariff: Tariff) -> None:
    """All charges of one version in words."""
    with st.grid("auto", min_column_width=300):
        for charge in tariff.charges:
            with st.container(border=True, gap="xsmall"):
                st.markdown(f"**{escaped(charge.description)}**")
                st.markdown(_facts_table(_beyond_the_title(charge)), width="stretch")
    with st.container(border=True, gap="xsmall"):
        st.markdown("**The whole tariff**")
        st.markdown(_facts_table(tariff_facts(tariff)), width="stretch")


def show_changes(before: Tariff, after: Tariff) -> None:
    """Two versions side by side, by charge: what changed first of all, in words and numbers."""
    found = changes(before, after)
    if found.nothing:
        st.info("Both versions charge the same.", icon=":material/equal:")
    else:
        st.markdown(_summary(found))
    titles = day(before.effective_from), day(after.effective_from)
    for charge in found.charges:
        if charge.status != "same":
            _show_charge(charge, titles)
    if any(fact.status != "same" for fact in found.rest):
        with st.container(border=True, gap="xsmall"):
            st.markdown("**The whole tariff**")
            st.markdown(_changes_table(found.rest, titles), width="stretch")
    same = [charge for charge in found.charges if charge.status == "same"]
    if same:
        with st.expander(f"{count(len(same), 'charge')} unchanged", type="compact"):
            for charge in same:
                _show_charge(charge, titles)


def _summary(found: TariffChanges) -> str:
    said = [
        f"{number} {words}"
        for status, words in (
            ("changed", "changed"),
            ("added", "new"),
            ("removed", "removed"),
            ("same", "unchanged"),
        )
        if (number := found.count(status))  # type: ignore[arg-type]
    ]
    rest = sum(fact.status != "same" for fact in found.rest)
    also = f" Also {count(rest, 'rule')} of the whole tariff." if rest else ""
    return f"Charges: {', '.join(said)}.{also}"


def _show_charge(charge: ChargeChange, titles: tuple[str, str]) -> None:
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{escaped(charge.title)}**", width="content")
            status_badge(charge.status, _STATUS)
        if charge.status in ("changed", "same"):
            shown = [f for f in charge.facts if f.status != "same" or f.label not in _KNOWN]
            st.markdown(_changes_table(shown, titles), width="stretch")
        else:
            facts = [fact.after or fact.before for fact in charge.facts]
            st.markdown(_facts_table([fact for fact in facts if fact]), width="stretch")


def _beyond_the_title(charge: Charge) -> list[Fact]:
    return [fact for fact in charge_facts(charge) if fact.text != charge.description]


def _facts_table(facts: Sequence[Fact]) -> str:
    """Labels and values; the first fact is the head of the table."""
    rows = [f"| :gray[{escaped(fact.label)}] | {escaped(fact.text)} |" for fact in facts]
    return "\n".join([*rows[:1], "|:---|:---|", *rows[1:]])


def _changes_table(facts: Sequence[FactChange], titles: tuple[str, str]) -> str:
    rows = [f"| | {titles[0]} | {titles[1]} |", "|:---|:---|:---|"]
    return "\n".join([*rows, *map(_change_row, facts)])


def _change_row(change: FactChange) -> str:
    before, after = (escaped(fact.text) if fact else "–" for fact in (change.before, change.after))
    label = f":gray[{escaped(change.label)}]"
    if change.status == "same":
        return f"| {label} | {before} | {after} |"
    by = f" :orange-badge[{escaped(change.difference)}]" if change.difference else ""
    if change.before:
        before = f":gray[{before}]"
    after = f"**{after}**" if change.after else "– :red-badge[removed]"
    return f"| {label} | {before} | {after}{by} |"
