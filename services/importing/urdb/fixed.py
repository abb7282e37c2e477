"""What a URDB rate takes whatever is used: fixed charges and minimums."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from services.importing.urdb.draft import Charge, Draft
from services.importing.urdb.fields import plain
from services.languages.sentence import sentence

_PLACES: Final = Decimal("1e-12")


def add_fixed(draft: Draft) -> None:
    """The fixed charge per month or day."""
    fields = draft.fields
    amount = fields.number("fixedchargefirstmeter")
    unit = fields.text("fixedchargeunits")
    if not amount and "fixedmonthlycharge" in fields:  # Version 3.
        amount, unit = fields.number("fixedmonthlycharge"), "$/month"
    if amount:
        charge = _per(draft, amount, unit, "fixedchargefirstmeter")
        if charge["per"] == "day" and draft.days_as != "actual":
            charge["days_as"] = draft.days_as
        draft.add("fixed", "Fixed charge", "fixed", **charge)


def add_minimums(draft: Draft) -> None:
    """Minimums of the whole bill; to be added after all other charges."""
    fields = draft.fields
    amount, unit = fields.number("mincharge"), fields.text("minchargeunits")
    if unit.lower() == "$/year":
        yearly, amount = amount, Decimal(0)
    else:
        yearly = fields.number("annualmincharge")
    if not amount and "minmonthlycharge" in fields:  # Version 3.
        amount, unit = fields.number("minmonthlycharge"), "$/month"
    if amount:
        _add_monthly_minimum(draft, amount, unit)
    if yearly:
        charge = {"amount": plain(yearly), "per": "year"}
        _add_minimum(draft, "minimum_of_year", "Minimum charge of the year", charge)


def _add_monthly_minimum(draft: Draft, amount: Decimal, unit: str) -> None:
    charge = _per(draft, amount, unit, "mincharge")
    if charge["per"] == "day" and draft.days_as == "average_month":
        charge = _per(draft, _rounded(amount * 365 / 12), "$/month", "mincharge")
    _add_minimum(draft, "minimum", "Minimum charge", charge)


def _add_minimum(draft: Draft, code: str, description: str, charge: Charge) -> None:
    if charge["amount"].startswith("-"):
        draft.fields.remark(
            code, sentence("left out: {amount} is below 0", amount=charge["amount"])
        )
        return
    codes = [earlier["code"] for earlier in draft.charges]
    draft.add(code, description, "minimum", **charge, of=codes)


def _per(draft: Draft, amount: Decimal, unit: str, path: str) -> Charge:
    unit = unit.lower()
    if unit == "$/day":
        return {"amount": plain(amount), "per": "day"}
    if unit == "$/year":
        amount = _rounded(amount / 12)
        draft.fields.remark(
            path, sentence("an amount per year: taken as {amount} per month", amount=plain(amount))
        )
    elif unit != "$/month":
        why = (
            sentence("is in {unit}: taken as {taken}", unit=unit, taken="$/month")
            if unit
            else sentence("has no unit: taken as {taken}", taken="$/month")
        )
        draft.fields.remark(path, why)
    return {"amount": plain(amount), "per": "month", "proration": "days"}


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(_PLACES, ROUND_HALF_UP)
