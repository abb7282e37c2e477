"""What AI said and cost: its second opinion on a bill, its view of a reading, and its month."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

import streamlit as st

from pages.shared.components import ai_opinion, description_list
from pages.shared.format import count, day, escaped, moment, money, month
from pages.shared.session import may, now, services, today, zone
from services.ai.answers import NoAiAnswer
from services.ai.asking import MICRO
from services.database.errors import DatabaseError
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.metering.recent_use import UnableToCompareReads
from services.metering.register_arithmetic import ReadingTooLong
from services.quantities.energy import InvalidEnergy
from services.quantities.money import Money
from services.quantities.period import first_of_month
from services.rating import UnableToPriceBill
from services.readings.submission import InvalidReading
from services.records.ai import AiSpending, ReadingVerdictCounts, SecondOpinionCounts, StoredOpinion
from services.records.bills import Bill
from services.records.readings import Reading

_CANNOT_ASK = (
    NoAiAnswer,
    InvalidEnergy,
    InvalidReading,
    ReadingTooLong,
    UnableToCompareReads,
    UnableToPriceBill,
)


def show_second_opinion(bill: Bill, opinion: StoredOpinion | None) -> None:
    """What AI computed of the same bill, if it was asked; the bill is the rating engine's."""
    if opinion is None:
        return
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("**Second opinion**", width="content")
            agrees = opinion.agrees
            st.badge("Agrees" if agrees else "Differs", color="green" if agrees else "orange")
        total = Money.parse(opinion.total, currency=opinion.currency)
        description_list(
            [("AI's total", total.display()), ("Difference", _difference(bill, total))],
            least_width=110,
        )
        for line in _other_lines(bill, opinion):
            st.caption(escaped(line))
        if opinion.held:
            st.markdown("It is too far apart, so the bill was held as a draft.")
        st.caption(f"By {escaped(opinion.model)}, {moment(bill.created_at, zone())}")


def show_ai_on_reading(reading: Reading, principal: Principal) -> None:
    """AI's view of a flagged reading where it is no doubt, and asking AI where it has none."""
    key = f"ai-on-{reading.id}"
    asked = st.session_state.get(key) or {}
    said = asked or reading.validation.get("ai") or {}
    if "verdict" in asked and asked["verdict"] == "suspicious":
        st.warning(escaped(ai_opinion(asked)), icon=":material/flag:")
    elif said.get("verdict") == "plausible":
        st.info(escaped(ai_opinion(said)), icon=":material/psychology:")
    elif "remark" in said:
        st.caption(escaped(said["remark"]))
    may_ask = may(Permission.DECIDE_READINGS)
    if "verdict" in said or services().assessor.ai is None or not may_ask:
        return
    if st.button("Ask AI about this reading", icon=":material/psychology:", key=f"ask-{key}"):
        with st.spinner("Asking AI …"):
            st.session_state[key] = _asked_ai(reading, principal)
        st.rerun()


def show_ai_month(principal: Principal) -> None:
    """What AI did and cost since the 1st, where it is configured, and whether it is stopped."""
    usage = services().ai_usage
    if usage is None:
        return
    with st.container(border=True):
        st.markdown(f"**AI in {month(today())}**")
        try:
            done = usage.this_month(principal=principal, now=now())
        except DatabaseError:
            st.caption("What AI did and cost cannot be read just now.")
            return
        spent, opinions = done.spending, done.opinions
        description_list(
            [
                ("Questions", _questions(spent)),
                ("Readings judged", _readings(done.readings)),
                ("Second opinions on bills", _opinions(opinions)),
                ("Tokens", f"{spent.prompt_tokens:,} in, {spent.completion_tokens:,} out"),
                ("Cost", _cost(spent, done.monthly_budget)),
            ],
            least_width=170,
        )
        if done.is_spent:
            again = first_of_month(first_of_month(today()) + timedelta(days=31))
            st.warning(
                f"This month's budget is spent: AI is not asked again before {day(again)}. "
                "Billing goes on with the rules and the templates alone.",
                icon=":material/savings:",
            )


def _readings(counts: ReadingVerdictCounts) -> str:
    """Such as: 40, the same as the rules of 38; doubted by AI alone: 2 (1 accepted, 1 refused)."""
    said = [f"{counts.judged:,}, the same as the rules of {counts.agreed:,}"]
    if not counts.judged:
        said = ["none"]
    for who, alone, accepted, refused in (
        ("AI", counts.ai_alone, counts.ai_alone_accepted, counts.ai_alone_refused),
        ("the rules", counts.rules_alone, counts.rules_alone_accepted, counts.rules_alone_refused),
    ):
        if alone:
            decided = f"{accepted:,} accepted, {refused:,} refused"
            said.append(f"doubted by {who} alone: {alone:,} ({decided} by a person)")
    if counts.not_asked:
        said.append(f"not asked about {counts.not_asked:,} that the rules found nothing unusual in")
    return "; ".join(said)


def _difference(bill: Bill, total: Money) -> str:
    apart = total.minor - bill.total_minor
    if not apart:
        return "none"
    return f"{money(abs(apart), bill.currency)} {'more' if apart > 0 else 'less'}"


def _other_lines(bill: Bill, opinion: StoredOpinion) -> list[str]:
    """Each charge that AI has otherwise, with both amounts."""
    ours: Counter[str] = Counter()
    for line in bill.lines:
        ours[line.code] += line.amount_minor
    theirs = {line.code: line.amount for line in opinion.lines}
    names = {line.code: line.description for line in bill.lines}
    said = []
    for code in opinion.other_lines:
        if code not in names:
            said.append("It has charges that the tariff does not.")
            continue
        found = theirs.get(code)
        amount = Money.parse(found, currency=bill.currency).display() if found else "nothing"
        said.append(f"{names[code]}: {amount} instead of {money(ours[code], bill.currency)}")
    return said


def _asked_ai(reading: Reading, principal: Principal) -> dict[str, Any]:
    """AI's verdict as it is kept with readings, or a remark on why there is none."""
    try:
        verdict = services().reading_review.ask_ai(
            reading_id=reading.id, principal=principal, now=now()
        )
    except _CANNOT_ASK as error:
        return {"remark": str(error)}
    return verdict.to_json()


def _questions(spent: AiSpending) -> str:
    asked = f"{spent.calls:,}"
    return f"{asked}, {spent.unanswered:,} without an answer" if spent.unanswered else asked


def _opinions(counts: SecondOpinionCounts) -> str:
    if not counts.asked:
        return "none"
    said = f"{counts.agreed:,} agreed, {counts.differed:,} differed"
    return f"{said}, {count(counts.held, 'bill')} held" if counts.held else said


def _cost(spent: AiSpending, budget: Decimal | None) -> str:
    if spent.calls and spent.unpriced == spent.calls:
        return "not known: no prices are set"
    cost = Decimal(spent.cost_micro) / MICRO
    said = "under 0.01" if 0 < cost < Decimal("0.01") else f"{cost:,.2f}"
    said = f"{said} of {budget:,f} USD" if budget is not None else f"{said} USD, no limit"
    return f"{said}; {spent.unpriced:,} not priced" if spent.unpriced else said
