"""What an autopay policy must be, and the words of a consent: pure rules."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from services.languages.language import Language
from services.languages.sentence import joined, sentence
from services.quantities.money import Money
from services.records.customers.autopay import AutopayPolicy

MOST_RETRIES: Final = 8
LAST_RETRY_DAY: Final = 60
MOST_NOTICE_DAYS: Final = 60
MOST_CONFIRM_DAYS: Final = 30
MOST_EXPIRY_DAYS: Final = 120


class InvalidAutopay(ValueError):
    """What was typed cannot be used; the message has a sentence for each thing that is wrong."""


def check_policy(policy: AutopayPolicy) -> None:
    """That a version can be used; raises InvalidAutopay with all that is wrong."""
    if problems := list(_problems(policy)):
        raise InvalidAutopay(joined(problems, by=" "))


def typed_days(text: str) -> tuple[int, ...]:
    """The days of "3, 7"; nothing typed is no day. Raises InvalidAutopay."""
    parts = [part for part in re.split(r"[\s,;]+", text.strip()) if part]
    if not all(re.fullmatch(r"[0-9]{1,3}", part) for part in parts):
        raise InvalidAutopay(sentence("Give the days of further tries as numbers, such as 3, 7."))
    return tuple(int(part) for part in parts)


def consent_text(language: Language, *, utility: str, limit: Money | None, notice_days: int) -> str:
    """What a customer agrees to, as it is shown and kept."""
    _ = language.gettext
    parts = [
        _(
            "I allow {utility} to charge what is open of my electricity bills to the card or "
            "account that I save at Stripe, each on its due date, without asking me every time.",
            utility=utility,
        )
    ]
    if limit:
        parts.append(_("It never charges more than {limit} at once.", limit=limit))
    parts += [
        language.ngettext(
            "{utility} tells me the amount and the day at least {count} day before.",
            "{utility} tells me the amount and the day at least {count} days before.",
            notice_days,
            utility=utility,
        ),
        _("If a charge fails, it may be tried again. I can end this at any time on my page."),
    ]
    return " ".join(parts)


def _problems(policy: AutopayPolicy) -> Iterator[str]:
    if not 1 <= policy.notice_days <= MOST_NOTICE_DAYS:
        most = MOST_NOTICE_DAYS
        yield sentence("The notice is 1 to {most} days before the charge.", most=most)
    yield from _retries(policy.retry_days)
    if not 1 <= policy.confirm_days <= MOST_CONFIRM_DAYS:
        most = MOST_CONFIRM_DAYS
        yield sentence("The wait for a confirmation is 1 to {most} days long.", most=most)
    if not 1 <= policy.expiry_days <= MOST_EXPIRY_DAYS:
        most = MOST_EXPIRY_DAYS
        yield sentence("The word about a card is 1 to {most} days before it expires.", most=most)


def _retries(days: Sequence[int]) -> Iterator[str]:
    if len(days) > MOST_RETRIES:
        yield sentence("There are at most {number} further tries.", number=MOST_RETRIES)
    if any(not 1 <= day <= LAST_RETRY_DAY for day in days):
        yield sentence("A further try is 1 to {most} days after the first.", most=LAST_RETRY_DAY)
    if any(before >= after for before, after in pairwise(days)):
        yield sentence("Put the days of further tries in their order, each once.")
