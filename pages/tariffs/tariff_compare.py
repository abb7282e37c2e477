"""Versions of a tariff in words: one alone, or two side by side with what changed marked."""

from collections.abc import Sequence
from typing import Final

import streamlit as st

from pages.languages.words import _, ngettext, say
from pages.shared.components import status_badge
from pages.shared.format import Color, day, escaped, money
from services.languages.sentence import N_, NN_
from services.quantities.money import MINUS
from services.tariffs import Charge, Tariff
from services.tariffs.describe import Fact, charge_facts
from services.tariffs.version_diff import (
    ChargeChange,
    FactChange,
    Status,
    TariffChanges,
    changes,
    percent_in_words,
    tariff_facts,
)

_STATUS: dict[str, tuple[str, Color]] = {
    "same": (N_("The same"), "gray"),
    "changed": (N_("Changed"), "orange"),
    "added": (N_("New"), "green"),
    "removed": (N_("Removed"), "red"),
}

_COUNTED: Final[dict[Status, tuple[str, str]]] = {
    "changed": NN_("{count} changed", "{count} changed"),
    "added": NN_("{count} new", "{count} new"),
    "removed": NN_("{count} removed", "{count} removed"),
    "same": NN_("{count} unchanged", "{count} unchanged"),
}
# Said by the title already, as long as they stay.
_KNOWN = (N_("Kind"), N_("On the bill"))


def change_in_words(before_minor: int, after_minor: int, currency: str) -> str:
    """From one amount to another: "+₹21.75 (+4.0%)"."""
    change = after_minor - before_minor
    if not change:
        return _("the same")
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
        st.markdown(_("**The whole tariff**"))
        st.markdown(_facts_table(tariff_facts(tariff)), width="stretch")


def show_changes(before: Tariff, after: Tariff) -> None:
    """Two versions side by side, by charge: what changed first of all, in words and numbers."""
    found = changes(before, after)
    if found.nothing:
        st.info(_("Both versions charge the same."), icon=":material/equal:")
    else:
        st.markdown(_summary(found))
    titles = day(before.effective_from), day(after.effective_from)
    for charge in found.charges:
        if charge.status != "same":
            _show_charge(charge, titles)
    if any(fact.status != "same" for fact in found.rest):
        with st.container(border=True, gap="xsmall"):
            st.markdown(_("**The whole tariff**"))
            st.markdown(_changes_table(found.rest, titles), width="stretch")
    same = [charge for charge in found.charges if charge.status == "same"]
    if same:
        label = ngettext("{count} charge unchanged", "{count} charges unchanged", len(same))
        with st.expander(label, type="compact"):
            for charge in same:
                _show_charge(charge, titles)


def _summary(found: TariffChanges) -> str:
    counted = [
        ngettext(*words, number)
        for status, words in _COUNTED.items()
        if (number := found.count(status))
    ]
    said = _("Charges: {changes}.", changes=", ".join(counted))
    rest = sum(fact.status != "same" for fact in found.rest)
    if not rest:
        return said
    also = ngettext(
        "Also {count} rule of the whole tariff.", "Also {count} rules of the whole tariff.", rest
    )
    return f"{said} {also}"


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
    rows = [f"| :gray[{escaped(say(fact.label))}] | {escaped(say(fact.text))} |" for fact in facts]
    return "\n".join([*rows[:1], "|:---|:---|", *rows[1:]])


def _changes_table(facts: Sequence[FactChange], titles: tuple[str, str]) -> str:
    rows = [f"| | {titles[0]} | {titles[1]} |", "|:---|:---|:---|"]
    return "\n".join([*rows, *map(_change_row, facts)])


def _change_row(change: FactChange) -> str:
    before, after = (
        escaped(say(fact.text)) if fact else "–" for fact in (change.before, change.after)
    )
    label = f":gray[{escaped(say(change.label))}]"
    if change.status == "same":
        return f"| {label} | {before} | {after} |"
    removed = _("removed")
    by = f" :orange-badge[{escaped(change.difference)}]" if change.difference else ""
    if change.before:
        before = f":gray[{before}]"
    after = f"**{after}**" if change.after else f"– :red-badge[{removed}]"
    return f"| {label} | {before} | {after}{by} |"
