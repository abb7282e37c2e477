"""The facts that a rule may ask of a bill: which the system always prints, and which are set."""

from collections.abc import Mapping
from typing import Final, Literal, get_args

# Every bill has them, since it cannot be computed or laid out without.
AlwaysFact = Literal[
    "provider_name",
    "customer_and_account",
    "issue_date",
    "due_date",
    "period_and_days",
    "meter_number",
    "reads",
    "multiplier",
    "consumption",
    "estimated",
    "tariff",
    "charges_and_rates",
    "taxes",
    "total",
    "balance_and_payments",
    "last_year",
]
# Texts of the utility that a bill prints as they are set.
PrintedFact = Literal[
    "outage_line",
    "complaints",
    "late_payment",
    "dispute_body",
    "switching",
    "single_contact",
    "comparison_tool",
    "energy_advice",
    "average_use",
    "energy_mix",
    "incentives",
]
# Settings that stand elsewhere on a bill.
SettingsFact = Literal["utility_contact", "utility_phone", "utility_email", "tax_number"]
# Of the bill itself: printed where a rule asks, and the first refused where it is missing.
BillFact = Literal["service_address", "supply_point", "contract_end"]
Fact = AlwaysFact | PrintedFact | SettingsFact | BillFact

PRINTED_FACTS: Final[tuple[PrintedFact, ...]] = get_args(PrintedFact)
SETTINGS_FACTS: Final[tuple[SettingsFact, ...]] = get_args(SettingsFact)

_IN_WORDS: Final[Mapping[str, str]] = {
    "outage_line": "the number to report outages",
    "complaints": "where to complain",
    "late_payment": "what is due after the due date",
    "dispute_body": "the body that settles disputes out of court",
    "switching": "how to switch, and what it brings",
    "single_contact": "the single point of contact for consumers",
    "comparison_tool": "where offers can be compared",
    "energy_advice": "who advises on saving energy",
    "average_use": "a comparison with an average customer, or where to find it",
    "energy_mix": "the energy mix with its CO2 and radioactive waste",
    "incentives": "that energy sources may have had incentives beyond the levies in the price",
    "utility_contact": "the utility's address",
    "utility_phone": "the utility's phone number",
    "utility_email": "the utility's e-mail address",
    "tax_number": "the utility's tax number",
}


def fact_in_words(fact: str) -> str:
    """A fact that is set, as a sentence names it."""
    return _IN_WORDS[fact]
