"""Messages as AI writes them, with placeholders: what may stand in them, and filling them in."""

import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import Final

from services.languages.sentence import nsentence, sentence

# Each placeholder with its meaning for AI; the values are never sent.
PLACEHOLDERS: Final = {
    "name": "the customer's name",
    "utility": "the utility's name",
    "amount": "the amount with its currency",
    "balance": "what is still to be paid, with its currency",
    "paid": "the amount that was paid, with its currency",
    "paid_on": "the date of the payment",
    "old_bills": "the bills that no longer hold, by their references",
    "new_bills": "the bills that take their place, by their references",
    "credit_notes": "the credit notes that take the old bills back, by their numbers",
    "difference": "by how much the new bills come to more or less, with its currency",
    "usage": "the energy used, with its unit",
    "period": "the billing period, as two dates",
    "due_date": "the date by which to pay",
    "reference": "the bill's reference, also for paying at the office",
    "link": "the web address for paying",
}
PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")

SHORTEST: Final = 8  # a whole message in Chinese can be this short
# WhatsApp's limit of 1,024 is the lowest of the channels'.
LONGEST: Final = 1000

_JOINERS: Final = "\u200c\u200d"  # Indic and Persian writing needs them.
_NUMBERS: Final = {"Nd", "Nl", "No"}
_HIDDEN: Final = {"Cc", "Cf", "Cs", "Co", "Cn"}
_ADDRESS: Final = re.compile(r"https?|www\b|://|[^\W\d_]\.[^\W\d_]{2,}|\]\s*\(", re.IGNORECASE)


class UnfitText(ValueError):
    """The text cannot be sent; the message says what is wrong with it, to follow "it"."""


def fill_in(
    template: str, values: Mapping[str, str], *, required: Collection[str], longest: int = LONGEST
) -> str:
    """The message with its values, after all checks. Raises UnfitText.

    `values` has the placeholders that are allowed here, each with our own text for it.
    """
    template = template.strip()
    named = set(PLACEHOLDER.findall(template))
    for stranger in sorted(named - set(values)):
        raise UnfitText(
            sentence(
                "uses a placeholder that is not offered: {placeholder}", placeholder=stranger[:40]
            )
        )
    for missing in sorted(set(required) - named):
        raise UnfitText(sentence("leaves out {placeholder}", placeholder=f"{{{missing}}}"))
    _check_own_words(PLACEHOLDER.sub(" ", template))
    # What follows a link directly, such as a full stop, can become part of it.
    template = re.sub(r"\{link\}(?=\S)", "{link} ", template)
    text = PLACEHOLDER.sub(lambda found: values[found[1]], template)
    if len(text) > longest:
        raise UnfitText(
            nsentence(
                "is longer than {count} character", "is longer than {count} characters", longest
            )
        )
    return text


def _check_own_words(words: str) -> None:
    """Refuse what looks like an amount, a date or a link that we did not write."""
    if len(words.strip()) < SHORTEST:
        raise UnfitText(sentence("is too short to be a message"))
    for character in words:
        if character not in _JOINERS + "\n" and unicodedata.category(character) in _HIDDEN:
            raise UnfitText(sentence("has characters that cannot be seen"))
    # As it looks to a reader: full-width and joined forms become the plain ones.
    seen = unicodedata.normalize("NFKC", re.sub(f"[{_JOINERS}]", "", words))
    kinds = {unicodedata.category(character) for character in seen}
    # Before NFKC too, which makes letters of Roman numerals.
    if (kinds | {unicodedata.category(c) for c in words}) & _NUMBERS:
        raise UnfitText(sentence("has digits of its own"))
    if "Sc" in kinds:
        raise UnfitText(sentence("has a currency sign of its own"))
    if set("{}") & set(seen):
        raise UnfitText(sentence("has braces of its own"))
    if _ADDRESS.search(seen) or set("@<>") & set(seen):
        raise UnfitText(sentence("has an address of its own"))
