"""What a dunning policy must be: pure rules, each with a sentence for whoever writes one."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final

from services.languages.sentence import N_, Sentence, nsentence, sentence
from services.quantities.money import Money
from services.records.dunning.policy import DunningPolicy, LateFee, PolicyStep, StepAction

EARLIEST_DAY: Final = -60
LATEST_DAY: Final = 365
MOST_STEPS: Final = 12
MOST_GRACE_DAYS: Final = 90
# Beyond any amount there is, in any currency's minor units.
MOST_MINOR: Final = 10**12
_PERCENT: Final = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,2}))?")

STEP_NAMES: Final[dict[StepAction, str]] = {
    "reminder": N_("Reminder"),
    "overdue": N_("Overdue notice"),
    "demand": N_("Demand"),
    "notice": N_("Disconnection notice"),
    "disconnection": N_("Disconnection order"),
}
# Within a sentence.
STEP_WORDS: Final[dict[StepAction, str]] = {
    "reminder": N_("reminder"),
    "overdue": N_("overdue notice"),
    "demand": N_("demand"),
    "notice": N_("disconnection notice"),
    "disconnection": N_("disconnection order"),
}
_ONCE: Final[tuple[StepAction, ...]] = ("overdue", "notice", "disconnection")


class InvalidPolicy(ValueError):
    """A policy cannot be used; `problems` has a sentence for each thing that is wrong."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(" ".join(self.problems))


@dataclass(frozen=True, slots=True)
class _Numbered:
    number: int
    step: PolicyStep

    @property
    def name(self) -> Sentence:
        step = sentence(STEP_WORDS[self.step.action])
        return sentence("Step {number} ({step})", number=self.number, step=step)


def step_of(action: StepAction, day: int, *, fee: bool = False) -> PolicyStep:
    """A step with the key that names it; an overdue notice, of which there is one, by its kind."""
    key = action if action == "overdue" else f"{action}{day:+d}"
    return PolicyStep(key=key, action=action, day=day, fee=fee)


def day_in_words(day: int) -> Sentence:
    """3 days before the due date, on the due date, 7 days after the due date."""
    if day == 0:
        return sentence("on the due date")
    if day < 0:
        return nsentence(
            "{count} day before the due date", "{count} days before the due date", -day
        )
    return nsentence("{count} day after the due date", "{count} days after the due date", day)


def percent_bp(text: str, what: str) -> int:
    """Hundredths of a percent of "1.5" or "18"; raises InvalidPolicy, which names `what`."""
    found = _PERCENT.fullmatch(text.strip().removesuffix("%").strip() or "0")
    bp = int(found[1]) * 100 + int((found[2] or "").ljust(2, "0")) if found else -1
    if not 0 <= bp <= 10_000:
        raise InvalidPolicy(
            [
                sentence(
                    "The {what} is a percentage from 0 to 100, such as 1.5.", what=sentence(what)
                )
            ]
        )
    return bp


def percent_text(bp: int) -> str:
    """1.5 of 150, 18 of 1800."""
    whole, rest = divmod(bp, 100)
    return f"{whole}.{rest:02d}".rstrip("0").rstrip(".") if rest else str(whole)


def check_policy(policy: DunningPolicy, *, today: date) -> None:
    """That a new version can be used from its day on; raises InvalidPolicy with all problems."""
    problems = [
        *_of_terms(policy, today),
        *_of_steps(policy),
        *_of_order(policy),
        *_of_disconnection(policy),
        *_of_fee(policy),
    ]
    if problems:
        raise InvalidPolicy(problems)


def _of_terms(policy: DunningPolicy, today: date) -> Iterator[str]:
    if policy.valid_from is None or policy.valid_from < today:
        yield sentence("A policy holds from {day}, today, at the earliest.", day=today)
    if not 0 <= policy.minimum_minor <= MOST_MINOR:
        yield sentence("The smallest balance that is dunned is an amount of 0 or more.")
    if not 1 <= policy.notice_days <= LATEST_DAY:
        yield sentence(
            "The wait after a disconnection notice is 1 to 365 days: as many as the law asks for."
        )


def _of_steps(policy: DunningPolicy) -> Iterator[str]:
    if not policy.steps:
        yield sentence("A policy has one step at least.")
    if len(policy.steps) > MOST_STEPS:
        yield sentence("A policy has at most {number} steps.", number=MOST_STEPS)
    for at in _numbered(policy):
        yield from _of_day(at)
    for action in _ONCE:
        times = sum(step.action == action for step in policy.steps)
        if times > 1:
            yield sentence(
                "There is one {step} at most, not {number}.",
                step=sentence(STEP_WORDS[action]),
                number=times,
            )


def _of_day(at: _Numbered) -> Iterator[str]:
    if not EARLIEST_DAY <= at.step.day <= LATEST_DAY:
        yield sentence(
            "{step}: a step is from 60 days before the due date to 365 days after it.",
            step=at.name,
        )
    elif at.step.action == "reminder" and at.step.day > 0:
        yield sentence(
            "{step}: a reminder goes out before the due date or on it. After it, choose an "
            "overdue notice or a demand.",
            step=at.name,
        )
    elif at.step.action != "reminder" and at.step.day < 1:
        yield sentence(
            "{step}: nothing is overdue before the day after the due date.", step=at.name
        )


def _of_order(policy: DunningPolicy) -> Iterator[str]:
    for before, after in pairwise(_numbered(policy)):
        if before.step.day == after.step.day:
            yield sentence(
                "Steps {first} and {second} overlap: both are {day}.",
                first=before.number,
                second=after.number,
                day=day_in_words(after.step.day),
            )
        elif before.step.day > after.step.day:
            yield sentence(
                "{step} is on day {day}, before step {number} on day {other}: put the steps in "
                "the order of their days.",
                step=after.name,
                day=f"{after.step.day:+d}",
                number=before.number,
                other=f"{before.step.day:+d}",
            )
    late = [at for at in _numbered(policy) if at.step.action != "reminder"]
    for at in late[1:]:
        if at.step.action == "overdue":
            yield sentence(
                "{step}: the overdue notice is the first step after the due date.", step=at.name
            )


def _of_disconnection(policy: DunningPolicy) -> Iterator[str]:
    numbered = list(_numbered(policy))
    cut = next((at for at in numbered if at.step.action == "disconnection"), None)
    if cut is None:
        return
    if cut is not numbered[-1]:
        yield sentence("{step}: cutting the supply is the last step.", step=cut.name)
    notice = next((at for at in numbered if at.step.action == "notice"), None)
    if notice is None:
        yield sentence(
            "{step}: nobody is disconnected without a disconnection notice before.", step=cut.name
        )
    elif cut.step.day - notice.step.day < policy.notice_days:
        yield sentence(
            "{step} is {days} after the notice; the law's wait is {wait}. Put it on day {day} or "
            "later.",
            step=cut.name,
            days=_days(max(0, cut.step.day - notice.step.day)),
            wait=_days(policy.notice_days),
            day=f"{notice.step.day + policy.notice_days:+d}",
        )


def _of_fee(policy: DunningPolicy) -> Iterator[str]:
    fee, charging = policy.late_fee, [at for at in _numbered(policy) if at.step.fee]
    if fee is None:
        for at in charging:
            yield sentence("{step}: it charges the late fee, and there is none.", step=at.name)
        return
    if not charging:
        yield sentence("No step charges the late fee: say which one does.")
    yield from _of_amounts(fee, policy)
    for at in charging:
        if at.step.day <= fee.grace_days:
            yield sentence(
                "{step}: it charges the late fee within the grace of {days}: charge it later, or "
                "shorten the grace.",
                step=at.name,
                days=_days(fee.grace_days),
            )


def _of_amounts(fee: LateFee, policy: DunningPolicy) -> Iterator[str]:
    cap = Money(max(0, fee.cap_minor), policy.currency)
    if fee.fixed_minor < 0 or not 0 <= fee.percent_bp <= 10_000 or not 0 <= fee.tax_bp <= 10_000:
        yield sentence("A late fee, its percentage and its tax are not below 0, nor above 100 %.")
    elif fee.fixed_minor == 0 and fee.percent_bp == 0:
        yield sentence("A late fee is an amount, a percentage of what is overdue, or both.")
    if not 0 < fee.cap_minor <= MOST_MINOR:
        yield sentence("Say how much late fees come to at most for one debt: an amount above 0.")
    elif fee.fixed_minor > fee.cap_minor:
        amount = Money(fee.fixed_minor, policy.currency)
        yield sentence(
            "The late fee of {amount} is above its cap of {cap}.", amount=amount, cap=cap
        )
    if not 0 <= fee.grace_days <= MOST_GRACE_DAYS:
        yield sentence("The grace is 0 to {number} days.", number=MOST_GRACE_DAYS)


def _days(number: int) -> Sentence:
    return nsentence("{count} day", "{count} days", number)


def _numbered(policy: DunningPolicy) -> Iterator[_Numbered]:
    return (_Numbered(number, step) for number, step in enumerate(policy.steps, 1))
