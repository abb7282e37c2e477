"""The JSON of the round: what the page shows, in words where people read it."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from services.history.terms import MISSED_READ
from services.languages.language import Language
from services.metering.registers import measure_of
from services.quantities.energy import format_kwh
from services.readings.expected import expected_text
from services.readings.round import ROUTES_AT_ONCE, DueMeter, RoundPage
from services.records.readings import ReadPoint
from services.records.submissions import MissedRead, Round
from services.web.round.words import words_json
from services.web.shapes import instant_text

Json = dict[str, Any]


def start_json(
    *, user: str, token: str, now: datetime, routes: Sequence[Round], language: Language
) -> Json:
    """Who is signed in, in which language, the page's token, the time here, and the routes."""
    return {
        "language": words_json(language),
        "user": user,
        "token": token,
        "now": instant_text(now),
        **routes_json(routes),
        "reasons": [
            {"code": code, "label": language.say(text)} for code, text in MISSED_READ.items()
        ],
    }


def routes_json(routes: Sequence[Round]) -> Json:
    """Some routes by name, and whether there are more after them."""
    more = len(routes) == ROUTES_AT_ONCE
    return {"routes": [route_json(route) for route in routes], "more": more}


def route_json(route: Round) -> Json:
    """A route; `still` are still to be read, `asked` are asked for again."""
    return {
        "route": route.route,
        "meters": route.meters,
        "still": route.still,
        "asked": route.asked,
        "missed": route.missed,
    }


def meters_json(page: RoundPage, language: Language) -> Json:
    """Some meters of a route; `after` goes into the next request, null at the end."""
    return {
        "meters": [meter_json(due, language) for due in page.meters],
        "after": list(page.after) if page.after else None,
    }


def meter_json(due: DueMeter, language: Language) -> Json:
    """A meter; values are decimal strings of what the meter shows, before the multiplier."""
    meter, expected = due.meter, due.expected
    return {
        "serial": meter.serial,
        "code": meter.code,
        "sequence": meter.sequence,
        "address": meter.address,
        "customer": meter.customer_name,
        "access_note": meter.access_note,
        "dials": meter.dials,
        "registers": [_register_json(name, meter.last_read, language) for name in meter.registers],
        "last": _last_json(meter.last_read, language),
        # Whole kWh, downwards: what is promised must not be doubted.
        "expected": expected
        and {
            "low": format_kwh(expected.low_wh),
            "high": format_kwh(expected.high_wh // 1000 * 1000),
        },
        "expected_text": language.say(expected_text(expected, dials=meter.dials)),
        "asked": meter.request.reason if meter.request else None,
        "missed": _missed_json(meter.missed, language),
        "read_on": _day(meter.was_read_on, language),
        "waits": meter.waits,
        "waiting": bool(meter.waits or meter.waiting),
        "due": meter.is_due,
    }


def visit_json(missed: MissedRead) -> Json:
    """A visit that is kept."""
    return {"id": missed.id, "reason": missed.reason, "note": missed.note}


def _register_json(name: str, last: ReadPoint | None, language: Language) -> Json:
    value = (last.registers if last else {}).get(name)
    return {
        "name": name,
        "label": language.say(measure_of(name).label),
        "unit": measure_of(name).unit,
        "last": None if value is None else format_kwh(value),
    }


def _last_json(last: ReadPoint | None, language: Language) -> Json | None:
    if last is None:
        return None
    return {"kwh": format_kwh(last.register_wh), "on": _day(last.read_on, language)}


def _missed_json(missed: MissedRead | None, language: Language) -> Json | None:
    if missed is None:
        return None
    return {"reason": language.say(MISSED_READ[missed.reason]), "note": missed.note}


def _day(day: date | None, language: Language) -> str | None:
    return language.day(day) if day else None
