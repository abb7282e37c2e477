"""Customers' pages as HTML that needs no script: templates, and how they write amounts and days."""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from flask import Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.quantities.counting import count
from services.quantities.energy import format_kwh
from services.quantities.money import Money
from services.records.bills import invoice_reference

_FOLDER: Final = Path(__file__).parent / "files"
STYLE: Final = "my.css"
# Its own style and nothing else; what is typed goes to this site alone.
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    # A link's secret stands in the address.
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence above a page; a refusal's has its status."""

    text: str = ""
    status: int = 200
    # Seconds after which trying again makes sense.
    retry_after: int | None = None


NOTHING: Final = Said()


def html(template: str, *, said: Said, **values: object) -> Response:
    """One of the pages; nobody keeps it."""
    text = (
        _templates()
        .get_template(template)
        .render(
            said=said.text,
            problem=said.status >= 400,
            style=f"/my/{STYLE}?v={_version()}",
            **values,
        )
    )
    answer = Response(text, status=said.status, mimetype="text/html")
    answer.headers.update(_HEADERS)
    if said.retry_after is not None:
        answer.headers["Retry-After"] = str(said.retry_after)
    return answer


def pdf(name: str, content: bytes) -> Response:
    """A document to be kept by the customer, and by nobody on the way."""
    answer = Response(content, mimetype="application/pdf")
    answer.headers.update(_HEADERS)
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def style() -> Response:
    """The style sheet; its address changes with it."""
    answer = Response((_FOLDER / STYLE).read_bytes(), mimetype="text/css")
    answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return answer


def masked(text: str) -> str:
    """The end of a number, by which its owner recognises it."""
    return f"…{text[-3:]}" if len(text) > 5 else "…"


@cache
def _version() -> str:
    return hashlib.sha256((_FOLDER / STYLE).read_bytes()).hexdigest()[:12]


@cache
def _templates() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        auto_reload=False,
    )
    made.filters |= {
        "money": lambda minor, currency: Money(minor, currency).display(),
        "day": _day,
        "kwh": format_kwh,
        "month": lambda month: f"{month:%b %Y}",
        "invoice": invoice_reference,
        "counted": count,
        "masked": masked,
    }
    return made


def _day(value: date | datetime, zone: ZoneInfo | None = None) -> str:
    local = value.astimezone(zone) if isinstance(value, datetime) else value
    return f"{local.day} {local:%b %Y}"
