"""How the pages write things: names, dates, amounts, energy and states, in people's words."""

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Final, Literal
from zoneinfo import ZoneInfo

from services.quantities import counting
from services.quantities.energy import format_kwh
from services.quantities.money import Money, scaled_text, with_minus_signs

Color = Literal["red", "orange", "blue", "green", "violet", "gray"]

_PUNCTUATION: Final = re.compile(r"([!-/:-@\[-`{-~])")
# Streamlit replaces :icon: and :red[…] after Markdown took the backslashes away.
_DIRECTIVE: Final = re.compile(r":(?=[\w+-]+[\[/:])")
# Markdown makes links of these wherever they stand, backslashes or not.
_ADDRESS: Final = re.compile(r"(?i)(www)(?=\.)|(https?)(?=://)")
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
READING_SOURCE: Final = {
    "field": "field read",
    "smart": "smart meter",
    "customer": "read by the customer",
    "estimated": "estimated",
    "imported": "imported",
}
RUN_STATUS: Final[dict[str, tuple[str, Color]]] = {
    "running": ("Running", "blue"),
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
OCCASION: Final = {
    "bill_issued": "When it was issued",
    "payment_reminder": "Payment reminder",
    "overdue_notice": "Overdue notice",
    "payment_received": "Thanks for a payment",
    "balance_changed": "When its balance changed",
    "bill_corrected": "When it was corrected",
}


count: Final = counting.count


def escaped(text: object) -> str:
    """`text` so that Markdown shows it as it is: names may hold *, [, <, $, :red[ or www."""
    marked = _ADDRESS.sub(rf"\g<0>{_NOTHING_WIDE}", " ".join(str(text).split()))
    marked = _DIRECTIVE.sub(f":{_NOTHING_WIDE}", marked)
    return _PUNCTUATION.sub(r"\\\1", marked)


def day(value: date) -> str:
    """A local date: 12 Nov 2026."""
    return f"{value.day} {value:%b %Y}"


def moment(value: datetime, zone: ZoneInfo) -> str:
    """An instant in the utility's zone: 12 Nov 2026, 14:05."""
    local = value.astimezone(zone)
    return f"{day(local.date())}, {local:%H:%M}"


def month(value: date) -> str:
    """The month of a local date: Nov 2026."""
    return f"{value:%b %Y}"


def period(start: date, end: date) -> str:
    """A billing period by its two reading dates: 12 Oct – 12 Nov 2026 (31 days)."""
    first = f"{start.day} {start:%b}" if start.year == end.year else day(start)
    return f"{first} – {day(end)} ({count((end - start).days, 'day')})"


def kwh(wh: int) -> str:
    """Energy: 1,117.5 kWh."""
    return f"{grouped(format_kwh(wh))} kWh"


def grouped(decimal_text: str) -> str:
    """An exact decimal text with its thousands grouped: 1,300."""
    return with_minus_signs(f"{Decimal(decimal_text):,f}")


def times(multiplier_milli: int) -> str:
    """A meter's multiplier, from thousandths: × 40."""
    return f"× {scaled_text(multiplier_milli, places=3, trim=True)}"


def money(minor: int, currency: str) -> str:
    """An amount of minor units: ₹540.35."""
    return Money(minor, currency).display()


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
        return f"on the {_ORDINALS.get(int(of_month), f'{of_month}th')} of the month {at}"
    return cron


def file_name(name: str) -> str:
    """A name for a file to download, of letters, digits, dots, hyphens: never a path."""
    return re.sub(r"[^\w.-]+", "-", name).strip(".-") or "file"
