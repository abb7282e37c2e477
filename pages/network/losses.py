"""Energy into each transformer against what its customers were billed: where it is being lost."""

from collections.abc import Sequence
from datetime import date
from typing import Final

import altair as alt
import streamlit as st

from pages.languages.words import _, language, ngettext
from pages.shared.components import chosen_page, description_list, page_number
from pages.shared.format import count, escaped, grouped, kwh, month, period
from pages.shared.session import today
from services.graph import Graph, TransformerBalance
from services.languages.sentence import P_
from services.quantities.money import scaled_text
from services.quantities.period import first_of_month

PAGE_SIZE = 12
_MONTHS_BACK = 13
# Low-voltage networks lose some percent in their wires; beyond this somebody should go and look.
USUAL_LOSS_PERMILLE = 100
_USUAL, _ABOVE = "usual", "above"
_ENERGY: Final = "energy"
_SUPPLIED, _BILLED = P_("energy", "Supplied"), P_("energy", "Billed")
_EXPORTED = P_("energy", "Exported by places")


def show_losses(graph: Graph) -> None:
    """The balances of one supply period, the worst first, and how each was in earlier ones."""
    balances = graph.energy_balance(since=_months_ago(_MONTHS_BACK), until=today())
    if not balances:
        st.info(_no_supplies(), icon=":material/electric_meter:")
        return
    periods = sorted({(b.period_start, b.period_end) for b in balances}, reverse=True)
    chosen = st.selectbox(
        _("Supply period"), periods, format_func=lambda ends: period(*ends), key="losses-period"
    )
    shown = [b for b in balances if (b.period_start, b.period_end) == chosen]
    _summary(shown)
    # Worst first. Each has a chart of its own: a browser shows some of them at a time.
    key = f"losses-page-{chosen}"
    first = (chosen_page(key) - 1) * PAGE_SIZE
    for balance in shown[first : first + PAGE_SIZE]:
        earlier = [b for b in balances if b.transformer_id == balance.transformer_id]
        _show_transformer(balance, sorted(earlier, key=lambda b: b.period_start))
    page_number(total=len(shown), page_size=PAGE_SIZE, key=key)


def percent(permille: int | None) -> str:
    """A loss as people write it: 5.4 %; nothing was supplied: –."""
    return "–" if permille is None else f"{grouped(scaled_text(permille, places=1))} %"


def _no_supplies() -> str:
    return ngettext(
        "Nothing is known of the energy that went into the transformers in the last {count} month. "
        "Import the transformers and the energy into them on the page Import, then bring them into "
        "the graph with `.venv/bin/python -m services graph rebuild`.",
        "Nothing is known of the energy that went into the transformers in the last {count} "
        "months. Import the transformers and the energy into them on the page Import, then bring "
        "them into the graph with `.venv/bin/python -m services graph rebuild`.",
        _MONTHS_BACK,
    )


def _months_ago(months: int) -> date:
    day = first_of_month(today())
    years, before = divmod(day.month - 1 - months, 12)
    return day.replace(year=day.year + years, month=before + 1)


def _of_energy(label: str) -> str:
    return language().pgettext(_ENERGY, label)


def _summary(balances: Sequence[TransformerBalance]) -> None:
    supplied = sum(b.supplied_wh for b in balances)
    exported = sum(b.exported_wh for b in balances)
    billed = sum(b.billed_wh for b in balances)
    suspicious = sum(map(_is_suspicious, balances))
    description_list(
        [
            (_of_energy(_SUPPLIED), kwh(supplied)),
            *_exported(exported),
            (_of_energy(_BILLED), kwh(billed)),
            (_("Lost"), kwh(supplied + exported - billed)),
            (_("Above 10 %"), count(suspicious, "transformer")),
        ],
        least_width=120,
    )


def _exported(wh: int) -> list[tuple[str, str]]:
    """What places fed in, shown where any did."""
    return [(_of_energy(_EXPORTED), kwh(wh))] if wh else []


def _is_suspicious(balance: TransformerBalance) -> bool:
    return balance.loss_permille is not None and balance.loss_permille > USUAL_LOSS_PERMILLE


def _show_transformer(balance: TransformerBalance, earlier: Sequence[TransformerBalance]) -> None:
    with st.container(border=True):
        left, right = st.columns([3, 2], vertical_alignment="center")
        with left:
            _show_figures(balance)
        with right:
            _show_trend(earlier, balance)


def _show_figures(balance: TransformerBalance) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{escaped(balance.code)}** {escaped(balance.name)}", width="content")
        lost = percent(balance.loss_permille)
        if balance.loss_permille is not None and balance.loss_permille < 0:
            said = _("{percent}: more billed than supplied", percent=lost)
            st.badge(said, color="violet")
        else:
            said = _("{percent} lost", percent=lost)
            st.badge(said, color="red" if _is_suspicious(balance) else "green")
    feeder = _("feeder {code}", code=escaped(balance.feeder_code)) if balance.feeder_code else ""
    st.caption(" · ".join(filter(None, (feeder, count(balance.meters, "meter")))))
    description_list(
        [
            (_of_energy(_SUPPLIED), kwh(balance.supplied_wh)),
            *_exported(balance.exported_wh),
            (_of_energy(_BILLED), kwh(balance.billed_wh)),
            (_("Difference"), kwh(balance.loss_wh)),
        ],
        least_width=100,
    )
    if balance.meters_unread:
        st.caption(
            ngettext(
                ":material/info: {count} meter of this transformer not billed for the whole period "
                "yet: a part of the difference is only that.",
                ":material/info: {count} meters of this transformer not billed for the whole "
                "period yet: a part of the difference is only that.",
                balance.meters_unread,
            )
        )


def _show_trend(earlier: Sequence[TransformerBalance], chosen: TransformerBalance) -> None:
    rows = [
        {
            "month": month(b.period_start),
            "loss": b.loss_permille / 10,
            "shown": percent(b.loss_permille),
            "which": _ABOVE if _is_suspicious(b) else _USUAL,
        }
        for b in earlier
        if b.loss_permille is not None
    ]
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar(cornerRadiusTopLeft=2, cornerRadiusTopRight=2)
        .encode(
            x=alt.X("month:N", sort=None, title=None, axis=alt.Axis(labels=False, ticks=False)),
            y=alt.Y("loss:Q", title=_("% lost"), axis=alt.Axis(tickCount=3)),
            color=alt.Color(
                "which:N",
                scale=alt.Scale(domain=[_USUAL, _ABOVE], range=["#5b8def", "#d64545"]),
                legend=None,
            ),
            tooltip=[
                alt.Tooltip("month:N", title=_("From")),
                alt.Tooltip("shown:N", title=_("Lost")),
            ],
        )
        .properties(height=110)
    )
    st.altair_chart(
        chart,
        key=f"trend-{chosen.transformer_id}",
        alt=_("Percent lost by month at transformer {code}", code=chosen.code),
    )
