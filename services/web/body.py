"""Reading a JSON object out of a stranger's request, so that nothing in it can surprise us."""

import json
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

LARGEST_BODY = 1024 * 1024  # bytes

_MOST_FIELDS = 100
_LONGEST_INT = 60  # digits; longer ones are slow to convert, and Python refuses them from 4,300 on


class UnusableBody(ValueError):
    """The body of the request is not a JSON object that can be read; the message says why."""


def read_json_object(request: Request) -> dict[str, Any]:
    """The request's JSON object; numbers with a fraction, NaN and Infinity are Decimals.

    Raises UnusableBody, or werkzeug's RequestEntityTooLarge beyond LARGEST_BODY.
    """
    if request.mimetype != "application/json":
        raise UnusableBody("Send the header Content-Type: application/json.")
    try:
        body = json.loads(
            read_bytes(request).decode("utf-8"),
            parse_float=_decimal,
            parse_int=_int,
            parse_constant=Decimal,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError:
        raise UnusableBody("The body must be UTF-8 text.") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise UnusableBody(f"The body is not valid JSON: {error.msg}, {where}.") from None
    except RecursionError:
        raise UnusableBody("The body is nested too deeply.") from None
    if not isinstance(body, dict):
        raise UnusableBody("The body must be a JSON object: {…}.")
    return body


def read_bytes(request: Request) -> bytes:
    """The request's body as it came; raises RequestEntityTooLarge beyond LARGEST_BODY."""
    # werkzeug cuts a body of unknown length off at its limit, without a word.
    request.max_content_length = LARGEST_BODY + 1
    data = request.get_data(cache=False)
    if len(data) > LARGEST_BODY:
        raise RequestEntityTooLarge
    return data


def read_form(request: Request) -> list[tuple[str, str]]:
    """The request's form, field by field; raises UnusableBody, RequestEntityTooLarge."""
    if request.mimetype != "application/x-www-form-urlencoded":
        raise UnusableBody("Send a form (application/x-www-form-urlencoded).")
    try:
        text = read_bytes(request).decode("utf-8")
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise UnusableBody("The form cannot be read.") from None


def _int(text: str) -> int | Decimal:
    return int(text) if len(text) <= _LONGEST_INT else Decimal(text)


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        # An exponent beyond even Decimal's: too large or too small, and its size says which.
        sign = "-" if text.startswith("-") else ""
        return Decimal(f"{sign}1e-99" if "e-" in text.lower() else f"{sign}1e99")


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        # Two readers may each take another one of the two for the truth.
        raise UnusableBody("The body names a field twice.")
    for name, value in pairs:
        if not _is_storable(name) or (isinstance(value, str) and not _is_storable(value)):
            raise UnusableBody("The body holds a character that cannot be stored.")
    return found


def _is_storable(text: str) -> bool:
    """False for what Postgres's text cannot hold: NUL, and halves of surrogate pairs."""
    return "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)
