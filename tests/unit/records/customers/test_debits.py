"""What is said of a bill that autopay pays: the day to come, or since when it is under way."""

from datetime import date

import pytest

from services.records.customers.debits import BillAutopay, expected_by

FRIDAY = date(2026, 11, 13)


@pytest.mark.parametrize(
    ("kind", "by"),
    [
        ("card", date(2026, 11, 17)),
        ("us_bank_account", date(2026, 11, 19)),
        ("sepa_debit", date(2026, 11, 20)),
        ("some_bank_of_tomorrow", date(2026, 11, 20)),
    ],
)
def test_saturdays_and_sundays_do_not_count(kind: str, by: date) -> None:
    assert expected_by(kind, FRIDAY) == by


@pytest.mark.parametrize("since", [date(2026, 11, 14), date(2026, 11, 15)])
def test_what_began_at_a_weekend_begins_on_monday(since: date) -> None:
    assert expected_by("card", since) == date(2026, 11, 17)


def bill_autopay(**fields: object) -> BillAutopay:
    row = {"status": "announced", "charge_on": FRIDAY, "kind": "sepa_debit"}
    return BillAutopay.model_validate(row | fields)


def test_before_the_charge_its_day_is_said() -> None:
    of = bill_autopay()
    assert of.to_its_customer() == ("Autopay pays it on 13 Nov 2026, so there is nothing to do.")
    assert of.to_the_office(FRIDAY) == "It is charged on 13 Nov 2026."
    assert of.expected_by is None


def test_under_way_it_is_said_since_when_and_until_when() -> None:
    of = bill_autopay(status="charging", since=FRIDAY)
    for today in (None, FRIDAY, date(2026, 11, 20)):
        assert of.to_its_customer(today) == (
            "Autopay's charge has been under way since 13 Nov 2026, and the money is expected by "
            "20 Nov 2026. There is nothing to do."
        )
    assert of.to_the_office(FRIDAY) == (
        "The charge has been under way since 13 Nov 2026, and its money is expected by 20 Nov 2026."
    )


def test_nobody_is_promised_a_day_that_is_over() -> None:
    of = bill_autopay(status="charging", since=FRIDAY)
    late = date(2026, 11, 21)
    assert of.to_its_customer(late) == (
        "Autopay's charge has been under way since 13 Nov 2026, which is longer than usual. There "
        "is nothing to do."
    )
    assert "longer than usual" in of.to_the_office(late)


def test_a_decline_says_when_it_is_tried_again() -> None:
    of = bill_autopay(status="waiting")
    assert "tries again on 13 Nov 2026" in of.to_its_customer()
    assert "tried again on 13 Nov 2026" in of.to_the_office(FRIDAY)


def test_what_is_to_be_confirmed_is_not_nothing() -> None:
    of = bill_autopay(status="charging", since=FRIDAY, confirming=True)
    assert "wants you to confirm" in of.to_its_customer()
    assert "nothing to do" not in of.to_its_customer()
    assert "wants the customer to confirm" in of.to_the_office(FRIDAY)
    assert of.expected_by is None
