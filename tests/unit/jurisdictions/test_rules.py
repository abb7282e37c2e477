"""The rules of each jurisdiction: their files, what a utility lacks, and the sentence for it."""

import pytest
from pydantic import ValidationError

from services.bill_documents.labels import LABELS
from services.jurisdictions import (
    PRINTED_FACTS,
    SETTINGS_FACTS,
    Jurisdiction,
    jurisdiction_of,
    jurisdictions,
    lack_in_words,
    lacking,
)

GIVEN: dict[str, str] = dict.fromkeys((*PRINTED_FACTS, *SETTINGS_FACTS), "given")


def test_each_file_is_there_and_names_a_paragraph_for_each_rule() -> None:
    assert list(jurisdictions()) == ["european_union", "texas"]
    for one in jurisdictions().values():
        assert len(one.rules) > 10
        assert all(any(sign.isdigit() for sign in rule.source) for rule in one.rules)
    assert jurisdiction_of("") is None


def test_rules_of_texas_say_which_text_they_were_compared_with() -> None:
    rules = jurisdictions()["texas"].rules
    paragraphs = {rule.source for rule in rules if rule.compared_with.startswith("16 TAC 25.25")}
    assert paragraphs == {f"16 TAC 25.25 (c)({n})" for n in range(1, 8)}
    # What refuses a bill was compared with something, but for the address of the place.
    refuses = {"late_payment", "utility_phone", "outage_line", "service_address"}
    unsure = {rule.fact for rule in rules if not rule.compared_with}
    assert unsure & refuses == {"service_address"}
    assert unsure == {"provider_name", "service_address", "customer_and_account", "issue_date"}


def test_each_text_that_a_rule_may_ask_for_has_a_label() -> None:
    assert {*PRINTED_FACTS, "supply_point", "contract_end"} <= set(LABELS)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("texas", {"outage_line", "late_payment", "utility_phone"}),
        (
            "european_union",
            {
                *("utility_contact", "utility_phone", "utility_email", "switching"),
                *("dispute_body", "single_contact", "comparison_tool", "energy_advice"),
                *("average_use", "energy_mix", "incentives"),
            },
        ),
    ],
)
def test_a_utility_that_set_nothing_lacks_what_it_alone_can_say(
    name: str, missing: set[str]
) -> None:
    found = lacking(jurisdiction_of(name), {})
    assert {rule.fact for rule in found} == missing
    assert lacking(jurisdiction_of(name), GIVEN) == ()
    assert {
        rule.fact for rule in lacking(jurisdiction_of(name), GIVEN | {"utility_phone": " "})
    } == {"utility_phone"}
    assert lacking(None, {}) == ()


def test_the_sentence_names_what_is_missing_by_which_rule_and_where_it_is_set() -> None:
    texas = jurisdictions()["texas"]
    (one,) = lacking(texas, GIVEN | {"outage_line": ""})
    assert lack_in_words(texas, [one]) == (
        "A bill in Texas must say the number to report outages (16 TAC 25.479 (c)). "
        "Set it in Settings under Documents."
    )
    two = lacking(texas, GIVEN | {"outage_line": "", "utility_phone": ""})
    assert lack_in_words(texas, two) == (
        "A bill in Texas must say the utility's phone number (16 TAC 25.479 (c)) and the number to "
        "report outages (16 TAC 25.479 (c)). Set them in Settings under Utility and Documents."
    )


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [{"fact": "moon_phase", "source": "1", "asks": "x"}],
        [{"fact": "reads", "source": "", "asks": "x"}],
        [{"fact": "reads", "source": "1", "asks": "x"}] * 2,
    ],
)
def test_a_file_that_is_wrong_is_refused(rules: list[dict[str, str]]) -> None:
    with pytest.raises(ValidationError):
        Jurisdiction.model_validate({"name": "any", "title": "Any", "rules": rules})
