"""What an administrator typed on the Settings page, checked: a sentence for each wrong value."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from services.languages.sentence import sentence, sentence_of
from services.quantities.money import InvalidMoney, UnknownCurrency
from services.quantities.typed import typed_money
from services.records.reports.account_codes import DEFAULT_CODES
from services.utility_settings.model import SENTENCES, LiveSettings, UtilityValues


class InvalidSettings(ValueError):
    """Something cannot be stored as it is; `problems` has a sentence for each such value."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(" ".join(problems))


def checked(body: Mapping[str, Any], *, held: LiveSettings) -> dict[str, Any]:
    """The settings of a form as they are stored. Raises InvalidSettings.

    `fees` are amounts as people type them, by currency and kind; an empty one is no fee. Those of
    a currency take the place of the fees of that currency in `held`. `refund_limits` are amounts
    by currency in the same way; an empty one is no limit. `account_codes` are all of
    them by account. `bill_facts` are texts by fact; an empty one is none.
    """
    locked = [name for name in body if name in held.model_fields_set]
    problems: list[str] = [
        sentence("{variable} sets this; change it there.", variable=name.upper()) for name in locked
    ]
    values = dict(body)
    if "fees" in values:
        values["fees"] = held.fees | _fees(values["fees"])
    if "refund_limits" in values:
        limits = held.refund_limits | _limits(values["refund_limits"])
        values["refund_limits"] = {currency: of for currency, of in limits.items() if of != 0}
    if "bill_facts" in values:
        facts = dict(held.bill_facts) | dict(values["bill_facts"])
        values["bill_facts"] = {fact: text for fact, text in facts.items() if text.strip()}
    if "account_codes" in values:
        values["account_codes"] = _account_codes(values["account_codes"])
    if problems or (problems := _problems(values)):
        raise InvalidSettings(problems)
    stored = UtilityValues.model_validate(values).model_dump(mode="json", include=set(values))
    if "fees" in stored:
        stored["fees"] = {currency: of for currency, of in stored["fees"].items() if of}
    return stored


def _account_codes(typed: Mapping[str, str]) -> dict[str, str]:
    codes = {key.strip(): " ".join(code.split()) for key, code in typed.items()}
    return {key: code for key, code in codes.items() if code != DEFAULT_CODES.get(key)}


def _problems(values: Mapping[str, Any]) -> list[str]:
    try:
        UtilityValues.model_validate(values)
    except ValidationError as error:
        names = dict.fromkeys(str(detail["loc"][0]) for detail in error.errors())
        return [
            SENTENCES.get(name) or sentence("There is no setting {name}.", name=repr(name[:60]))
            for name in names
        ]
    return []


def _limits(typed: Mapping[str, str]) -> dict[str, int]:
    try:
        return {
            currency: typed_money(text, currency=currency).minor if text.strip() else 0
            for currency, text in typed.items()
        }
    except (InvalidMoney, UnknownCurrency) as error:
        raise InvalidSettings([sentence_of(error)]) from None


def _fees(typed: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, int]]:
    problems: list[str] = []
    fees: dict[str, dict[str, int]] = {}
    for currency, amounts in typed.items():
        fees[currency] = {}
        for kind, text in amounts.items():
            if not text.strip():
                continue
            try:
                fees[currency][kind] = typed_money(text, currency=currency).minor
            except (InvalidMoney, UnknownCurrency) as error:
                problems.append(sentence_of(error))
    if problems:
        raise InvalidSettings(list(dict.fromkeys(problems)))
    return fees
