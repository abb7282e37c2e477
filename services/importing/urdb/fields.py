"""The fields of a URDB rate under one set of names, each to be taken or else named in a remark."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Final

from services.languages.sentence import sentence
from services.tariffs.checks.problems import paths_and_problems

Remark = tuple[str, str]

_PLACES: Final = Decimal("1e-12")
_TOO_LARGE: Final = Decimal("1e12")
_LONGEST: Final = 160

# Versions 3 to 8 of the API have one name for a thing (or an older one, read where it is used);
# the file that holds the whole database has others.
_NAMES_IN_THE_WHOLE_FILE: Final = {
    "_id": "label",
    "utilityname": "utility",
    "ratename": "name",
    "eia": "eiaid",
    "effectivedate": "startdate",
    "sourcereference": "source",
    "supercedes": "supersedes",
    "energyratestrux": "energyratestructure",
    "energyweekdaysched": "energyweekdayschedule",
    "energyweekendsched": "energyweekendschedule",
    "energymin": "peakkwhusagemin",
    "energymax": "peakkwhusagemax",
    "energyhist": "peakkwhusagehistory",
    "energykeyvals": "energyattrs",
    "demandratestrux": "demandratestructure",
    "demandrateunits": "demandrateunit",
    "demandweekdaysched": "demandweekdayschedule",
    "demandweekendsched": "demandweekendschedule",
    "demandmin": "peakkwcapacitymin",
    "demandmax": "peakkwcapacitymax",
    "demandhist": "peakkwcapacityhistory",
    "demandkeyvals": "demandattrs",
    "demandreactpwrcharge": "demandreactivepowercharge",
    "flatdemandstrux": "flatdemandstructure",
    "flatdemandunits": "flatdemandunit",
    "coincidentratestrux": "coincidentratestructure",
    "coincidentrateunits": "coincidentrateunit",
    "coincidentsched": "coincidentrateschedule",
    "coincidentschedule": "coincidentrateschedule",
    "fixedkeyvals": "fixedattrs",
}


class UnusableRate(ValueError):
    """No tariff can be made of the rate; `problems` holds every (path, why)."""

    def __init__(self, *problems: Remark) -> None:
        self.problems = list(problems)
        super().__init__(
            sentence("This rate cannot be used. {problems}", problems=paths_and_problems(problems))
        )


class RateFields:
    """What a rate has; `remarks` collects what of it the tariff does not."""

    def __init__(self, rate: Mapping[str, Any]) -> None:
        self.remarks: list[Remark] = []
        self._left: dict[str, Any] = {}
        for given, value in rate.items():
            name = given.lower()
            name = _NAMES_IN_THE_WHOLE_FILE.get(name, name)
            if value is None or value in ("", [], {}):
                continue
            if name in self._left:
                raise UnusableRate(
                    (given, sentence("stands twice in this rate, also as {name}", name=name))
                )
            self._left[name] = value

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def take(self, name: str) -> Any:
        """The value of a field, None without it; what nobody takes is named at the end."""
        return self._left.pop(name, None)

    def text(self, name: str) -> str:
        """A field as text on one line, "" without it."""
        value = self.take(name)
        if isinstance(value, Mapping):  # {"$oid": "…"}
            value = next(iter(value.values()), "")
        return one_line(value) if value is not None else ""

    def number(self, name: str) -> Decimal:
        """A field as an exact number, 0 without it. Raises UnusableRate."""
        return self.exact(self.take(name), name)

    def exact(self, value: Any, path: str) -> Decimal:
        """A number of the JSON with at most 12 decimals, 0 for null; more are remarked.

        Digits after the twelfth are what is left of a binary fraction: 0.07000000000000001.
        """
        number = _decimal(value, path)
        if abs(number) >= _TOO_LARGE:
            raise UnusableRate(
                (path, sentence("{value} is larger than any rate", value=one_line(value)))
            )
        rounded = number.quantize(_PLACES, ROUND_HALF_UP)
        if rounded != number:
            self.remark(
                path,
                sentence(
                    "{number} is taken as {rounded}", number=str(number), rounded=plain(rounded)
                ),
            )
        return rounded

    def remark(self, path: str, text: str) -> None:
        """Note what the tariff has otherwise than the rate, or not at all."""
        self.remarks.append((path, text))

    def left(self) -> dict[str, Any]:
        """The fields that nobody took."""
        return dict(self._left)


def _decimal(value: Any, path: str) -> Decimal:
    if value is None:
        return Decimal(0)
    try:
        if isinstance(value, (Decimal, int, str)) and not isinstance(value, bool):
            number = Decimal(value.strip() if isinstance(value, str) else value)
            if number.is_finite():
                return number
    except InvalidOperation:
        pass
    raise UnusableRate((path, sentence("{value} is not a number", value=one_line(value))))


def plain(number: Decimal) -> str:
    """A number as the tariff format writes it: no exponent, no end zeros."""
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def one_line(value: Any) -> str:
    """A value as printable text on one line, cut when it is long."""
    text = "".join(c if c.isprintable() else " " for c in str(value))
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def date_of(value: Any) -> date | None:
    """The date in UTC of seconds since 1970, of ISO text, or of {"$date": …}; None if unclear."""
    if isinstance(value, Mapping):
        value = value.get("$date")
        if isinstance(value, Mapping):
            value = value.get("$numberLong")
        if str(value).isdigit():
            value = int(str(value)) // 1000
    try:
        if isinstance(value, str) and not value.lstrip("-").isdigit():
            return date.fromisoformat(value[:10])
        # Looked at first: as a whole number 1e999999999 would fill the memory.
        seconds = Decimal(value)
        if not abs(seconds) < _TOO_LARGE:
            return None
        return datetime.fromtimestamp(int(seconds), tz=UTC).date()
    except (TypeError, ValueError, ArithmeticError, OSError):
        return None
