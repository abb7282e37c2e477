"""What an autopay policy must be, and the words of a consent."""

import pytest

from services.autopay.rules import InvalidAutopay, check_policy, consent_text, typed_days
from services.languages.language import ENGLISH_LANGUAGE
from services.quantities.money import Money
from services.records.customers.autopay import AutopayPolicy

GOOD = AutopayPolicy(
    id="1", version=1, notice_days=7, retry_days=(3, 7), confirm_days=3, expiry_days=30
)


def test_a_usable_policy_is_taken_with_or_without_further_tries() -> None:
    check_policy(GOOD)
    check_policy(GOOD.model_copy(update={"retry_days": ()}))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"notice_days": 0}, "The notice is 1 to 60 days"),
        ({"retry_days": (7, 3)}, "in their order"),
        ({"retry_days": (3, 3)}, "each once"),
        ({"retry_days": (0,)}, "1 to 60 days after the first"),
        ({"retry_days": tuple(range(1, 10))}, "at most 8"),
        ({"confirm_days": 31}, "confirmation is 1 to 30"),
        ({"expiry_days": 121}, "1 to 120 days before it expires"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(
    wrong: dict[str, object], said: str
) -> None:
    with pytest.raises(InvalidAutopay, match=said):
        check_policy(GOOD.model_copy(update=wrong))


def test_days_are_typed_as_people_type_lists() -> None:
    assert typed_days("3, 7;14 21") == (3, 7, 14, 21)
    assert typed_days("  ") == ()
    with pytest.raises(InvalidAutopay, match="as numbers"):
        typed_days("3 and 7")


def test_a_consent_says_who_charges_what_and_how_it_ends() -> None:
    said = consent_text(
        ENGLISH_LANGUAGE, utility="Green Valley", limit=Money(500_000, "INR"), notice_days=7
    )
    assert "I allow Green Valley" in said
    assert "never charges more than ₹5,000.00" in said
    assert "at least 7 days before" in said
    assert "end this at any time" in said
    assert "never charges" not in consent_text(
        ENGLISH_LANGUAGE, utility="G", limit=None, notice_days=1
    )
