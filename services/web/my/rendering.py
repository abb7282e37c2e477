"""Customers' pages as HTML that needs no script: templates, and how they write amounts and days."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from flask import Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from services.bill_documents.line_names import ChargeName, Named, line_name
from services.bill_documents.words import Words
from services.languages.language import Language
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


def html(template: str, language: Language, *, said: Said, **values: object) -> Response:
    """One of the pages in a language; nobody keeps it."""
    text = (
        _templates()
        .get_template(template)
        .render(
            language=language,
            _=_Escaped(language),
            pgettext=language.pgettext,
            said=language.say(said.text),
            problem=said.status >= 400,
            style=f"/my/{STYLE}?v={_version()}",
            **values,
        )
    )
    answer = Response(text, status=said.status, mimetype="text/html")
    answer.headers.update(_HEADERS)
    answer.headers["Content-Language"] = language.tag
    if said.retry_after is not None:
        answer.headers["Retry-After"] = str(said.retry_after)
    return answer


@dataclass(frozen=True, slots=True)
class _Escaped:
    """The `_` of the templates: what was put into a text is escaped, marked HTML stays."""

    language: Language

    def __call__(self, text: str, /, **values: object) -> Markup:
        said = Markup(escape(self.language.say(text)))  # noqa: S704 - escaped just now
        if not values:
            return said
        written = {name: v for name, v in values.items() if not isinstance(v, Markup)}
        return said.format(**{**values, **self.language.isolated(written)})


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
        "money": _money,
        "day": _day,
        "kwh": _kwh,
        "month": _month,
        "number": _number,
        "register": _register,
        "line_name": _line_name,
        "invoice": invoice_reference,
        "masked": masked,
        "strong": lambda text: Markup("<strong>{}</strong>").format(text),
    }
    return made


@pass_context
def _money(context: Context, minor: int, currency: str) -> str:
    return _spoken(context).money(Money(minor, currency))


@pass_context
def _day(context: Context, value: date | datetime, zone: ZoneInfo | None = None) -> str:
    local = value.astimezone(zone).date() if isinstance(value, datetime) else value
    return _spoken(context).day(local)


@pass_context
def _kwh(context: Context, wh: int) -> str:
    return _spoken(context).number(format_kwh(wh))


@pass_context
def _month(context: Context, value: date) -> str:
    return _spoken(context).month(value)


@pass_context
def _number(context: Context, decimal_text: str) -> str:
    return _spoken(context).number(decimal_text)


@pass_context
def _register(context: Context, name: str) -> str:
    return Words.of(language=_spoken(context).tag, currency="").register(name)


@pass_context
def _line_name(context: Context, line: Named, names: Sequence[ChargeName]) -> str:
    return line_name(line, _spoken(context), names)


def _spoken(context: Context) -> Language:
    language: Language = context["language"]
    return language
