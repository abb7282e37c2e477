"""The facts that a rule may ask of a bill: which the system always prints, and which are set."""

from collections.abc import Mapping
from typing import Final, Literal, get_args

from services.languages.sentence import N_

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
    "outage_line": N_("the number to report outages"),
    "complaints": N_("where to complain"),
    "late_payment": N_("what is due after the due date"),
    "dispute_body": N_("the body that settles disputes out of court"),
    "switching": N_("how to switch, and what it brings"),
    "single_contact": N_("the single point of contact for consumers"),
    "comparison_tool": N_("where offers can be compared"),
    "energy_advice": N_("who advises on saving energy"),
    "average_use": N_("a comparison with an average customer, or where to find it"),
    "energy_mix": N_("the energy mix with its CO2 and radioactive waste"),
    "incentives": N_("that energy sources may have had incentives beyond the levies in the price"),
    "utility_contact": N_("the utility's address"),
    "utility_phone": N_("the utility's phone number"),
    "utility_email": N_("the utility's e-mail address"),
    "tax_number": N_("the utility's tax number"),
}


def fact_in_words(fact: str) -> str:
    """A fact that is set, as a sentence names it."""
    return _IN_WORDS[fact]
