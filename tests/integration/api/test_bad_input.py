"""What the HTTP API refuses, each with its status and a sentence."""

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from services.web.body import LARGEST_BODY
from tests.integration.api.talk import READING, error_of
from tests.integration.utility import Utility


@pytest.mark.parametrize(
    ("reading_kwh", "says"),
    [
        ("NaN", "must be a number, not NaN"),
        ("Infinity", "must be a number, not Infinity"),
        ("-Infinity", "must be a number, not -Infinity"),
        ('"NaN"', "must be a number, not NaN"),
        ('"lots"', "must be a number"),
        ("1e400", "larger than any meter"),
        ('"1e400"', "with all its digits"),
        ('"1e4"', "Write the reading with all its digits: 10000, not 1e4."),
        ("1e99999999999999999999", "larger than any meter"),
        ("1e-99999999999999999999", "at most 3 decimals"),
        ("9" * 5000, "larger than any meter"),
        ("-" + "9" * 5000, "cannot be negative"),
        ("-5", "cannot be negative"),
        ("1117.0001", "at most 3 decimals"),
        ("true", "must be a number"),
        ("null", "must be a number"),
        ("[1117]", "must be a number"),
        ('{"kwh": 1117}', "must be a number"),
        ("100000", "shows 5 digits"),
    ],
)
def test_a_value_that_no_meter_shows_is_refused_in_an_engineers_words(
    submit_text: Callable[[str], TestResponse], meter: str, utility: Utility,
    reading_kwh: str, says: str,
) -> None:  # fmt: skip
    assert says in error_of(submit_text(reading_kwh), 422)
    assert not utility.bills_of(meter)


def test_a_reading_in_the_future_is_refused(
    submit: Callable[..., TestResponse], utility: Utility
) -> None:
    later = utility.now + timedelta(minutes=6)
    assert "in the future" in error_of(submit(read_at=later.isoformat()), 422)
    assert submit(read_at=(utility.now + timedelta(minutes=4)).isoformat()).status_code == 201


@pytest.mark.parametrize(
    "fields",
    [
        {"read_at": "yesterday"},
        {"read_at": 1700000000},
        {"read_at": "0001-01-01T00:00:00+14:00"},
        {"meter_serial": ""},
        {"meter_serial": 7},
        {"meter_serial": "x" * 61},
        {"idempotency_key": ["k"]},
        {"reading": "1117"},
    ],
)
def test_a_field_that_cannot_be_is_refused(
    submit: Callable[..., TestResponse], fields: dict[str, Any]
) -> None:
    assert error_of(submit(**fields), 422)


@pytest.mark.parametrize("missing", ["meter_serial", "reading_kwh", "read_at"])
def test_a_missing_field_is_refused(
    client: FlaskClient, engineer: dict[str, str], utility: Utility, meter: str, missing: str
) -> None:
    body = {"meter_serial": meter, "reading_kwh": "1117", "read_at": utility.now.isoformat()}
    del body[missing]
    assert missing in error_of(client.post(READING, json=body, headers=engineer), 422)


def test_a_reading_from_before_the_meter_was_connected_is_refused(
    submit: Callable[..., TestResponse], utility: Utility
) -> None:
    before = utility.now - timedelta(days=90)
    assert "before that" in error_of(submit(read_at=before.isoformat()), 422)


def test_an_unknown_meter_is_not_found(submit: Callable[..., TestResponse]) -> None:
    assert "No meter" in error_of(submit(meter_serial="nobody's"), 404)


def test_a_key_that_comes_with_another_body_is_a_conflict(
    submit: Callable[..., TestResponse], utility: Utility
) -> None:
    assert submit("1117", idempotency_key="k2").status_code == 201
    answer = submit("1120", idempotency_key="k2", read_at=utility.now.isoformat())
    assert "idempotency key" in error_of(answer, 409)


def test_another_value_at_the_same_instant_is_a_conflict(
    submit: Callable[..., TestResponse],
) -> None:
    assert submit("1117").status_code == 201
    assert "Another value" in error_of(submit("1118"), 409)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"1117",
        b'"text"',
        b"\xff\xfe",
        b'\xef\xbb\xbf{"meter_serial": "M"}',
        b'{"meter_serial": "A", "meter_serial": "B"}',
        b'{"meter_serial": "A\\u0000"}',
        b'{"meter_serial": "A\\ud800"}',
        b'{"a": ' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b"9" * 5000,
    ],
)
def test_a_body_that_is_no_plain_json_object_is_refused(
    client: FlaskClient, engineer: dict[str, str], body: bytes
) -> None:
    answer = client.post(READING, data=body, content_type="application/json", headers=engineer)
    assert error_of(answer, 400)


@pytest.mark.parametrize("content_type", [None, "text/plain", "multipart/form-data; boundary=x"])
def test_another_content_type_is_refused(
    client: FlaskClient, engineer: dict[str, str], content_type: str | None
) -> None:
    answer = client.post(READING, data=b"{}", content_type=content_type, headers=engineer)
    assert "application/json" in error_of(answer, 400)


def test_a_body_over_one_megabyte_is_refused(client: FlaskClient, engineer: dict[str, str]) -> None:
    body = b" " * (LARGEST_BODY + 1)
    answer = client.post(READING, data=body, content_type="application/json", headers=engineer)
    assert "1 MB" in error_of(answer, 413)


def test_a_body_of_unknown_length_is_not_cut_off_at_one_megabyte(
    client: FlaskClient, engineer: dict[str, str]
) -> None:
    answer = client.post(
        READING,
        input_stream=io.BytesIO(b"{}" + b" " * LARGEST_BODY),
        environ_overrides={"wsgi.input_terminated": True},
        content_type="application/json",
        headers=engineer,
    )
    assert "1 MB" in error_of(answer, 413)
