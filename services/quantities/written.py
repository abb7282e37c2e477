"""Dates and amounts as people read them, on pages and in sentences."""

from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from services.quantities.counting import count
from services.quantities.energy import format_kwh
from services.quantities.money import Money, scaled_text, with_minus_signs


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


def grouped(decimal_text: str) -> str:
    """An exact decimal text with its thousands grouped: 1,300."""
    return with_minus_signs(f"{Decimal(decimal_text):,f}")


def kwh(wh: int) -> str:
    """Energy: 1,117.5 kWh."""
    return f"{grouped(format_kwh(wh))} kWh"


def times(multiplier_milli: int) -> str:
    """A meter's multiplier, from thousandths: × 40."""
    return f"× {scaled_text(multiplier_milli, places=3, trim=True)}"


def money(minor: int, currency: str) -> str:
    """An amount of minor units: ₹540.35."""
    return Money(minor, currency).display()


def file_size(size: int) -> str:
    """The size of a file from bytes: 12.3 MB."""
    if size < 1000**2:
        return f"{max(1, size // 1000)} kB"
    unit, name = (1000**2, "MB") if size < 1000**3 else (1000**3, "GB")
    return f"{size // unit}.{size * 10 // unit % 10} {name}"
