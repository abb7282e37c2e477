"""How the pages write things: names, dates, amounts, energy and states, in people's words."""

import re
from typing import Final, Literal

from services.history import terms
from services.quantities import counting, written
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
    "draft": ("Draft", "gray"),
    "issued": ("Issued", "blue"),
    "partially_paid": ("Partly paid", "violet"),
    "overdue": ("Overdue", "red"),
    "paid": ("Paid", "green"),
    "void": ("Void", "gray"),
}
READING_STATUS: Final[dict[str, tuple[str, Color]]] = {
    "accepted": ("Accepted", "green"),
    "needs_review": ("Needs review", "orange"),
    "rejected": ("Rejected", "red"),
    "superseded": ("Corrected", "gray"),
}
READING_SOURCE: Final = terms.READING_SOURCE
RUN_STATUS: Final[dict[str, tuple[str, Color]]] = {
    "running": ("Running", "blue"),
    "paused": ("Paused", "orange"),
    "done": ("Done", "green"),
    "failed": ("Failed", "red"),
    "interrupted": ("Interrupted", "orange"),
    "disregarded": ("Wrong clock", "gray"),
}
_WEEKDAYS: Final = {
    "mon": "Monday",
    "tue": "Tuesday",
    "wed": "Wednesday",
    "thu": "Thursday",
    "fri": "Friday",
    "sat": "Saturday",
    "sun": "Sunday",
}
_ORDINALS: Final = {1: "1st", 2: "2nd", 3: "3rd", 21: "21st", 22: "22nd", 23: "23rd", 31: "31st"}
OCCASION: Final = terms.OCCASION
count: Final = counting.count
day: Final = written.day
moment: Final = written.moment
month: Final = written.month
period: Final = written.period
grouped: Final = written.grouped
kwh: Final = written.kwh
times: Final = written.times
money: Final = written.money


def counted(total: int, thing: str, things: str | None = None, *, to: int = COUNTED_TO) -> str:
    """The length of a list: 1,000 days, and more than 10,000 days where it is not counted on."""
    if total <= to:
        return count(total, thing, things)
    return f"more than {count(to, thing, things)}"


def how_read(reading: Reading) -> str:
    """How a reading came about and how sure it is: "field read, validated"."""
    source, how = READING_SOURCE[reading.source], reading.quality.words
    # An estimate says how it was made, and no more than once that it is one.
    return how if how.startswith(source) else f"{source}, {how}"


def unsure(quality: Quality) -> str:
    """What is to be said of a read that was not simply read, or nothing."""
    return "" if quality.is_actual or quality.is_estimated else quality.words


def escaped(text: object) -> str:
    """`text` so that Markdown shows it as it is: names may hold *, [, <, $, :red[, @ or www."""
    marked = _ADDRESS.sub(rf"\g<0>{_NOTHING_WIDE}", " ".join(str(text).split()))
    marked = _DIRECTIVE.sub(f":{_NOTHING_WIDE}", marked)
    return _PUNCTUATION.sub(r"\\\1", marked)


def cron_in_words(cron: str) -> str:
    """When a cron expression is due: on the 1st at 02:00, daily at 10:00, Sundays at 08:00."""
    minute, hour, of_month, months, of_week = cron.split()
    if not (minute.isdigit() and hour.isdigit() and months == "*"):
        return cron
    at = f"at {int(hour):02}:{int(minute):02}"
    if (of_month, of_week) == ("*", "*"):
        return f"daily {at}"
    if of_month == "*" and of_week in _WEEKDAYS:
        return f"{_WEEKDAYS[of_week]}s {at}"
    if of_week == "*" and of_month.isdigit():
        return f"on the {ordinal(int(of_month))} of the month {at}"
    if of_week == "*" and of_month.replace(",", "").isdigit():
        *days, last = (ordinal(int(one)) for one in of_month.split(","))
        return f"on the {', '.join(days)} and {last} of the month {at}"
    return cron


def ordinal(day_of_month: int) -> str:
    """A day of the month as people say it: 1st, 2nd, 28th."""
    return _ORDINALS.get(day_of_month, f"{day_of_month}th")


def file_name(name: str) -> str:
    """A name for a file to download, of letters, digits, dots, hyphens: never a path."""
    return re.sub(r"[^\w.-]+", "-", name).strip(".-") or "file"
