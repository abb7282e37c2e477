"""What is said about autopay: before a charge, when one failed, when a card expires, at the end."""

from collections.abc import Mapping
from datetime import date
from typing import Final

from services.languages.language import Language
from services.quantities.money import Money
from services.records.bills import Bill
from services.records.outbox import OutboxKind

AUTOPAY_KINDS: Final[frozenset[OutboxKind]] = frozenset(
    ("autopay_notice", "autopay_failed", "autopay_expiring", "autopay_ended")
)
# The fact that names the charge which a notice is about: its amount is looked up as it is now.
CHARGE: Final = "charge_id"


def is_autopaid(bill: Bill) -> bool:
    """Whether autopay is about to pay a bill."""
    return bill.spared_because == "autopay"


def is_to_confirm(bill: Bill) -> bool:
    """Whether the bank wants its customer to confirm the charge of a bill."""
    return is_autopaid(bill) and bill.autopay is not None and bill.autopay.confirming


def how_it_is_paid(bill: Bill, facts: Mapping[str, str], language: Language) -> str:
    """How autopay pays a bill, on the day of the facts ("today"): mostly nothing is to be done."""
    if bill.autopay is None:
        return language.gettext("Autopay pays it, so there is nothing to do.")
    today = date.fromisoformat(facts["today"]) if "today" in facts else None
    return language.say(bill.autopay.to_its_customer(today))


def autopay_text(bill: Bill, kind: OutboxKind, facts: Mapping[str, str], language: Language) -> str:
    """The message of an occasion of autopay, without how to pay."""
    return " ".join(parts(bill, kind, facts, language))


def parts(
    bill: Bill, kind: OutboxKind, facts: Mapping[str, str], language: Language
) -> tuple[str, str]:
    """What happened, and what follows from it: two sentences or more, each of one line."""
    _ = language.gettext
    if kind == "autopay_notice":
        return (
            _(
                "{amount} of your electricity bill {reference} will be charged to {method} on "
                "{day}.",
                amount=_amount(facts),
                reference=bill.reference,
                method=facts["method"],
                day=date.fromisoformat(facts["charge_on"]),
            ),
            _("There is nothing to do. You can end autopay on your page before then."),
        )
    if kind == "autopay_expiring":
        return (
            _(
                "The card of your autopay ({method}) expires on {day}.",
                method=facts["method"],
                day=date.fromisoformat(facts["expires_on"]),
            ),
            _("Save another one on your page, so that your bills go on being paid."),
        )
    if kind == "autopay_ended":
        ended = _(
            "Autopay with {method} has ended: nothing more is charged.", method=facts["method"]
        )
        if facts.get("left"):
            return ended, _("Your supply has ended, so the card or account is no longer kept.")
        return ended, _("Your bills come as before, to be paid by you.")
    return _failed(bill, facts, language)


def asks_to_pay(facts: Mapping[str, str]) -> bool:
    """Whether a message about a charge that failed leaves it to the customer to pay."""
    return not facts.get("again_on") and "confirm" not in facts


def _failed(bill: Bill, facts: Mapping[str, str], language: Language) -> tuple[str, str]:
    _ = language.gettext
    of: dict[str, object] = {"amount": _amount(facts), "reference": bill.reference}
    if "limit_minor" in facts:
        said = _(
            "{amount} of your electricity bill {reference} is not charged: it is above your limit "
            "of {limit}.",
            limit=Money(int(facts["limit_minor"]), facts["currency"]),
            **of,
        )
        return said, _("Please pay the bill.")
    of["method"] = facts["method"]
    if "confirm" in facts:
        said = _(
            "Your bank wants you to confirm the charge of {amount} of your electricity bill "
            "{reference} to {method}.",
            **of,
        )
        return said, _("Open your page, choose Autopay, and confirm it there.")
    return _why(facts, language, of), _what_follows(facts, language)


def _why(facts: Mapping[str, str], language: Language, of: dict[str, object]) -> str:
    _ = language.gettext
    if facts.get("code") == "insufficient_funds":
        return _(
            "{amount} of your electricity bill {reference} could not be charged to {method}: there "
            "was not enough money.",
            **of,
        )
    if facts.get("code") == "expired_card":
        return _(
            "{amount} of your electricity bill {reference} could not be charged to {method}: the "
            "card has expired.",
            **of,
        )
    return _(
        "{amount} of your electricity bill {reference} could not be charged to {method}.", **of
    )


def _what_follows(facts: Mapping[str, str], language: Language) -> str:
    _ = language.gettext
    if facts.get("again_on"):
        return _("We try again on {day}.", day=date.fromisoformat(facts["again_on"]))
    if facts.get("paused"):
        return _("Autopay is paused. Please pay the bill, and look at autopay on your page.")
    return _("Please pay the bill.")


def _amount(facts: Mapping[str, str]) -> Money:
    return Money(int(facts["amount_minor"]), facts["currency"])
