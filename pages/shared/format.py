"""How the pages write things: names, dates, amounts, energy and states, in people's words."""

import re
from datetime import date, datetime
from typing import Final, Literal
from zoneinfo import ZoneInfo

from pages.languages.words import Said, _, language, ngettext
from services.history import terms
from services.languages.sentence import N_
from services.languages.writing import ENGLISH
from services.quantities import written
from services.quantities.energy import format_kwh
from services.quantities.money import Money
from services.quantities.quality import Quality
from services.records.base import COUNTED_TO
from services.records.readings import Reading

Color = Literal["red", "orange", "blue", "green", "violet", "gray"]

_PUNCTUATION: Final = re.compile(r"([!-/:-@\[-`{-~])")
# Streamlit replaces :icon: and :red[…] after Markdown took the backslashes away.
_DIRECTIVE: Final = re.compile(r":(?=[\w+-]+[\[/:])")
# Markdown makes links of these wherever they stand, backslashes or not.
_ADDRESS: Final = re.compile(r"(?i)(www)(?=\.)|(https?)(?=://)|(?<=[\w.+-])@(?=[\w-])")
_NOTHING_WIDE: Final = "\u200b"

BILL_STATUS: Final[dict[str, tuple[str, Color]]] = {
    "draft": (N_("Draft"), "gray"),
    "issued": (N_("Issued"), "blue"),
    "partially_paid": (N_("Partly paid"), "violet"),
    "overdue": (N_("Overdue"), "red"),
    "paid": (N_("Paid"), "green"),
    "void": (N_("Void"), "gray"),
}
READING_STATUS: Final[dict[str, tuple[str, Color]]] = {
    "accepted": (N_("Accepted"), "green"),
    "needs_review": (N_("Needs review"), "orange"),
    "rejected": (N_("Rejected"), "red"),
    "superseded": (N_("Corrected"), "gray"),
}
READING_SOURCE: Final = Said(terms.READING_SOURCE)
RUN_STATUS: Final[dict[str, tuple[str, Color]]] = {
    "running": (N_("Running"), "blue"),
    "paused": (N_("Paused"), "orange"),
    "done": (N_("Done"), "green"),
    "failed": (N_("Failed"), "red"),
    "interrupted": (N_("Interrupted"), "orange"),
    "disregarded": (N_("Wrong clock"), "gray"),
}
_WEEKLY: Final = {
    "mon": N_("Mondays {at}"),
    "tue": N_("Tuesdays {at}"),
    "wed": N_("Wednesdays {at}"),
    "thu": N_("Thursdays {at}"),
    "fri": N_("Fridays {at}"),
    "sat": N_("Saturdays {at}"),
    "sun": N_("Sundays {at}"),
}
_ORDINALS: Final = {1: "1st", 2: "2nd", 3: "3rd", 21: "21st", 22: "22nd", 23: "23rd", 31: "31st"}
OCCASION: Final = Said(terms.OCCASION)
times: Final = written.times


def count(number: int, thing: str, things: str | None = None) -> str:
    """1 day, 2 days, 1,000 days, as the visit's language counts; see pages/languages/nouns.py."""
    return ngettext(f"{{count}} {thing}", f"{{count}} {things or f'{thing}s'}", number)


def day(value: date) -> str:
    """A local date: 12 Nov 2026."""
    return language().day(value)


def moment(value: datetime, zone: ZoneInfo) -> str:
    """An instant in the utility's zone: 12 Nov 2026, 14:05."""
    return language().moment(value, zone)


def month(value: date) -> str:
    """The month of a local date: Nov 2026."""
    return language().month(value)


def period(start: date, end: date) -> str:
    """A billing period by its two reading dates: 12 Oct – 12 Nov 2026 (31 days)."""
    return language().period(start, end)


def grouped(decimal_text: str) -> str:
    """An exact decimal text with its thousands grouped: 1,300."""
    return language().number(decimal_text)


def kwh(wh: int) -> str:
    """Energy: 1,117.5 kWh. On a page that runs from right to left it keeps its own direction."""
    return apart(f"{grouped(format_kwh(wh))} kWh")


def apart(text: str) -> str:
    """`text` in its own direction, where the page runs the other way: a name beside a number."""
    return language().isolated({"text": text})["text"]


def money(minor: int, currency: str) -> str:
    """An amount of minor units: ₹540.35."""
    return language().money(Money(minor, currency))


def counted(total: int, thing: str, things: str | None = None, *, to: int = COUNTED_TO) -> str:
    """The length of a list: 1,000 days, and more than 10,000 days where it is not counted on."""
    if total <= to:
        return count(total, thing, things)
    return _("more than {counted}", counted=count(to, thing, things))


def how_read(reading: Reading) -> str:
    """How a reading came about and how sure it is: "field read, validated"."""
    source, how = terms.READING_SOURCE[reading.source], reading.quality.words
    # An estimate says how it was made, and no more than once that it is one.
    if how.startswith(source):
        return _(how)
    return _("{source}, {how}", source=_(source), how=_(how))


def unsure(quality: Quality) -> str:
    """What is to be said of a read that was not simply read, or nothing."""
    return "" if quality.is_actual or quality.is_estimated else _(quality.words)


def escaped(text: object) -> str:
    """`text` so that Markdown shows it as it is: names may hold *, [, <, $, :red[, @ or www.

    On a page that runs from right to left it keeps its own direction: a number before a street
    stays there.
    """
    marked = _ADDRESS.sub(rf"\g<0>{_NOTHING_WIDE}", " ".join(str(text).split()))
    marked = _DIRECTIVE.sub(f":{_NOTHING_WIDE}", marked)
    shown = _PUNCTUATION.sub(r"\\\1", marked)
    return apart(shown) if shown else ""


def cron_in_words(cron: str) -> str:
    """When a cron expression is due: on the 1st at 02:00, daily at 10:00, Sundays at 08:00."""
    minute, hour, of_month, months, of_week = cron.split()
    if not (minute.isdigit() and hour.isdigit() and months == "*"):
        return cron
    at = _("at {time}", time=f"{int(hour):02}:{int(minute):02}")
    if (of_month, of_week) == ("*", "*"):
        return _("daily {at}", at=at)
    if of_month == "*" and of_week in _WEEKLY:
        return _(_WEEKLY[of_week], at=at)
    if of_week == "*" and of_month.isdigit():
        return _("on the {ordinal} of the month {at}", ordinal=ordinal(int(of_month)), at=at)
    if of_week == "*" and of_month.replace(",", "").isdigit():
        *days, last = (ordinal(int(one)) for one in of_month.split(","))
        return _(
            "on the {days} and {last} of the month {at}", days=", ".join(days), last=last, at=at
        )
    return cron


def ordinal(day_of_month: int) -> str:
    """A day of the month as people say it: 1st, 2nd, 28th in English, elsewhere its number."""
    if language().tag != ENGLISH:
        return str(day_of_month)
    return _ORDINALS.get(day_of_month, f"{day_of_month}th")


def file_name(name: str) -> str:
    """A name for a file to download, of letters, digits, dots, hyphens: never a path."""
    return re.sub(r"[^\w.-]+", "-", name).strip(".-") or "file"
