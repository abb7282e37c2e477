"""What AI said and cost: its second opinion on a bill, its view of a reading, and its month."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

import streamlit as st

from pages.languages.words import _, language, say
from pages.shared.components import ai_opinion, description_list
from pages.shared.format import count, escaped, grouped, moment, money, month
from pages.shared.session import may, now, services, today, zone
from services.ai.answers import NoAiAnswer
from services.ai.asking import MICRO
from services.database.errors import DatabaseError
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.sentence import sentence_of
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
            st.markdown(_("**Second opinion**"), width="content")
            agrees = opinion.agrees
            st.badge(_("Agrees") if agrees else _("Differs"), color="green" if agrees else "orange")
        total = Money.parse(opinion.total, currency=opinion.currency)
        description_list(
            [
                (_("AI's total"), language().money(total)),
                (_("Difference"), _difference(bill, total)),
            ],
            least_width=110,
        )
        for line in _other_lines(bill, opinion):
            st.caption(escaped(line))
        if opinion.held:
            st.markdown(_("It is too far apart, so the bill was held as a draft."))
        st.caption(
            _("By {model}, {at}", model=escaped(opinion.model), at=moment(bill.created_at, zone()))
        )


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
        st.caption(escaped(say(said["remark"])))
    may_ask = may(Permission.DECIDE_READINGS)
    if "verdict" in said or services().assessor.ai is None or not may_ask:
        return
    if st.button(_("Ask AI about this reading"), icon=":material/psychology:", key=f"ask-{key}"):
        with st.spinner(_("Asking AI …")):
            st.session_state[key] = _asked_ai(reading, principal)
        st.rerun()


def show_ai_month(principal: Principal) -> None:
    """What AI did and cost since the 1st, where it is configured, and whether it is stopped."""
    usage = services().ai_usage
    if usage is None:
        return
    with st.container(border=True):
        st.markdown(_("**AI in {month}**", month=month(today())))
        try:
            done = usage.this_month(principal=principal, now=now())
        except DatabaseError:
            st.caption(_("What AI did and cost cannot be read just now."))
            return
        spent, opinions = done.spending, done.opinions
        description_list(
            [
                (_("Questions"), _questions(spent)),
                (_("Readings judged"), _readings(done.readings)),
                (_("Second opinions on bills"), _opinions(opinions)),
                (
                    _("Tokens"),
                    _(
                        "{prompt} in, {completion} out",
                        prompt=spent.prompt_tokens,
                        completion=spent.completion_tokens,
                    ),
                ),
                (_("Cost"), _cost(spent, done.monthly_budget)),
            ],
            least_width=170,
        )
        if done.is_spent:
            again = first_of_month(first_of_month(today()) + timedelta(days=31))
            st.warning(
                _(
                    "This month's budget is spent: AI is not asked again before {day}. "
                    "Billing goes on with the rules and the templates alone.",
                    day=again,
                ),
                icon=":material/savings:",
            )


def _readings(counts: ReadingVerdictCounts) -> str:
    """Such as: 40, the same as the rules of 38; doubted by AI alone: 2 (1 accepted, 1 refused)."""
    said = [
        _("{judged}, the same as the rules of {agreed}", judged=counts.judged, agreed=counts.agreed)
    ]
    if not counts.judged:
        said = [_("none")]
    if counts.ai_alone:
        said.append(
            _(
                "doubted by AI alone: {alone} ({accepted} accepted, {refused} refused by a person)",
                alone=counts.ai_alone,
                accepted=counts.ai_alone_accepted,
                refused=counts.ai_alone_refused,
            )
        )
    if counts.rules_alone:
        said.append(
            _(
                "doubted by the rules alone: {alone} ({accepted} accepted, {refused} refused by a "
                "person)",
                alone=counts.rules_alone,
                accepted=counts.rules_alone_accepted,
                refused=counts.rules_alone_refused,
            )
        )
    if counts.not_asked:
        said.append(
            _(
                "not asked about {readings} that the rules found nothing unusual in",
                readings=counts.not_asked,
            )
        )
    return "; ".join(said)


def _difference(bill: Bill, total: Money) -> str:
    apart = total.minor - bill.total_minor
    if not apart:
        return _("none")
    amount = money(abs(apart), bill.currency)
    return _("{amount} more", amount=amount) if apart > 0 else _("{amount} less", amount=amount)


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
            said.append(_("It has charges that the tariff does not."))
            continue
        found = theirs.get(code)
        amount = (
            language().money(Money.parse(found, currency=bill.currency)) if found else _("nothing")
        )
        said.append(
            _(
                "{charge}: {amount} instead of {ours}",
                charge=names[code],
                amount=amount,
                ours=money(ours[code], bill.currency),
            )
        )
    return said


def _asked_ai(reading: Reading, principal: Principal) -> dict[str, Any]:
    """AI's verdict as it is kept with readings, or a remark on why there is none."""
    try:
        verdict = services().reading_review.ask_ai(
            reading_id=reading.id, principal=principal, now=now()
        )
    except _CANNOT_ASK as error:
        return {"remark": sentence_of(error)}
    return verdict.to_json()


def _questions(spent: AiSpending) -> str:
    if not spent.unanswered:
        return grouped(str(spent.calls))
    return _(
        "{asked}, {unanswered} without an answer", asked=spent.calls, unanswered=spent.unanswered
    )


def _opinions(counts: SecondOpinionCounts) -> str:
    if not counts.asked:
        return _("none")
    of = {"agreed": counts.agreed, "differed": counts.differed}
    if counts.held:
        return _(
            "{agreed} agreed, {differed} differed, {bills} held",
            **of,
            bills=count(counts.held, "bill"),
        )
    return _("{agreed} agreed, {differed} differed", **of)


def _cost(spent: AiSpending, budget: Decimal | None) -> str:
    if spent.calls and spent.unpriced == spent.calls:
        return _("not known: no prices are set")
    cost = Decimal(spent.cost_micro) / MICRO
    said = _("under 0.01") if 0 < cost < Decimal("0.01") else grouped(f"{cost:.2f}")
    if budget is None:
        said = _("{cost} USD, no limit", cost=said)
    else:
        said = _("{cost} of {budget} USD", cost=said, budget=grouped(f"{budget:f}"))
    if not spent.unpriced:
        return said
    return _("{cost}; {unpriced} not priced", cost=said, unpriced=spent.unpriced)
