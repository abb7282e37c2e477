"""The round over HTTP: its page, whose session it takes, what is still to read and what was not."""

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from flask.testing import FlaskClient
from PIL import Image

from services.identity.auth import NotAllowed
from services.identity.permissions import Role
from services.importing.importer import Importer
from services.records.readings import Meter
from services.web.own_page import TOKEN_HEADER
from tests.integration.api.talk import READING, bearer
from tests.integration.utility import ADMIN, ENGINEER, Utility


def _jpeg(colour: str) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(written, "JPEG")
    return written.getvalue()


_JPEG = _jpeg("red")
SAME = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def on_page(client: FlaskClient, utility: Utility) -> dict[str, str]:
    """The client as an engineer's browser; the headers that the page sends along."""
    session = bearer(utility, Role.ENGINEER)["Authorization"].removeprefix("Bearer ")
    client.set_cookie("session", session)
    token = client.get("/round/start", headers=SAME).get_json()["token"]
    return SAME | {TOKEN_HEADER: token}


@pytest.fixture
def on_route(utility: Utility) -> Callable[..., str]:
    """Put a meter on a route; it was installed some days ago."""

    def put(serial: str, route: str, sequence: int | None, **meter: Any) -> str:
        utility.add_meter(serial, **meter)
        place = {"row": 1, "id": str(uuid4()), "code": code_of(utility, serial), "route": route}
        place |= {"sequence": sequence, "access_note": "Dog"}
        answer = utility.services.database.import_rows(
            what="service_points", actor=ADMIN.user, rows=[place], dry_run=False
        )
        assert answer.changed == 1
        return serial

    return put


def test_the_page_is_small_and_may_only_load_what_is_its_own(client: FlaskClient) -> None:
    page = client.get("/round")
    assert page.status_code == 200
    assert b"Reading round" in page.data
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    worker = client.get("/round/worker.js").text
    assert "{" + "version}" not in worker
    found = re.search(r"\.\.\.(\[.*?\])", worker)
    assert found
    # All that the page loads is kept on the phone.
    names = json.loads(found[1])
    files = {name: client.get(f"/round/{name}") for name in (*names, "manifest.webmanifest")}
    assert {file.status_code for file in files.values()} == {200}
    assert sum(len(file.data) for file in [page, *files.values()]) < 100_000
    imported = {
        name
        for file in files.values()
        if file.mimetype == "text/javascript"
        for name in re.findall(r'from "\./(.*?)"', file.text)
    }
    assert imported | {"round.js", "round.css"} <= set(names)
    assert files["manifest.webmanifest"].get_json()["start_url"] == "/round"
    assert client.get("/round/page.html").status_code == 404
    assert client.get("/round/routes.py").status_code == 404
    assert client.get("/round/../app.py").status_code == 404


def test_a_session_counts_only_for_requests_of_our_own_page(
    client: FlaskClient, on_page: dict[str, str], meter: str, utility: Utility
) -> None:
    body = {"meter_serial": meter, "reading_kwh": "1117", "read_at": utility.now.isoformat()}
    strange: tuple[dict[str, str], ...] = (
        {},
        SAME,
        on_page | {TOKEN_HEADER: "0" * 64},
        on_page | {"Sec-Fetch-Site": "cross-site"},
        {TOKEN_HEADER: on_page[TOKEN_HEADER], "Origin": "https://elsewhere.example"},
    )
    for headers in strange:
        answer = client.post(READING, json=body, headers=headers)
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (403, "not_allowed"), (
            headers
        )
    assert client.get("/round/start", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    sent = client.post(READING, json=body | {"idempotency_key": "k"}, headers=on_page)
    assert sent.status_code == 201
    again = client.post(READING, json=body | {"idempotency_key": "k"}, headers=on_page)
    assert (again.status_code, again.get_json()["bill"]["id"]) == (
        200,
        sent.get_json()["bill"]["id"],
    )
    # What the cookie opens here it opens nowhere else.
    bill = sent.get_json()["bill"]["id"]
    assert client.get(f"/api/bills/{bill}", headers=on_page).status_code == 401
    client.delete_cookie("session")
    assert client.post(READING, json=body, headers=on_page).status_code == 401
    assert client.get("/round/start", headers=SAME).status_code == 401


def test_a_doubt_is_said_in_the_language_of_who_reads_the_meter(
    client: FlaskClient, on_page: dict[str, str], meter: str, utility: Utility
) -> None:
    body = {"meter_serial": meter, "reading_kwh": "900", "read_at": utility.now.isoformat()}
    there = on_page | {"Accept-Language": "es"}
    told = client.post(READING, json=body | {"idempotency_key": "es"}, headers=there).get_json()
    assert told["explanation"].startswith("En espera de revisión: ")
    doubts = {rule["rule"]: rule["message"] for rule in told["validation"]["rules"]}
    assert doubts["below_last_read"].startswith("900 kWh está por debajo de la última lectura de ")
    # A program gets what is stored.
    bare = client.post(
        READING, json=body | {"idempotency_key": "p"}, headers=bearer(utility, Role.ENGINEER)
    ).get_json()
    doubts = {rule["rule"]: rule["message"] for rule in bare["validation"]["rules"]}
    assert doubts["below_last_read"].startswith("900 kWh is below the last read of 1,000 kWh")


def test_a_route_is_read_in_its_order_until_nothing_is_left(
    client: FlaskClient, on_page: dict[str, str], on_route: Callable[..., str], utility: Utility
) -> None:
    route = f"R {uuid4().hex[:6]}"
    first, second, third = (f"M-{uuid4().hex[:8]}" for _ in range(3))
    on_route(second, route, 20)
    on_route(first, route, 10)
    on_route(third, route, None)
    assert _route(client, route) == (3, 3, 0, 0)
    meters = _meters(client, route)
    assert [meter["serial"] for meter in meters] == [first, second, third]
    assert meters[0]["access_note"] == "Dog"
    assert meters[0]["last"]["kwh"] == "1000"
    assert meters[0]["expected"]["low"] == "1000"
    _read(client, on_page, utility, first, "1117")
    assert _route(client, route) == (3, 2, 0, 0)
    missed = {"id": str(uuid4()), "meter_serial": second, "missed_at": utility.now.isoformat()}
    missed |= {"reason": "no_access", "note": "Gate locked"}
    for _ in range(2):
        assert client.post("/round/missed", json=missed, headers=on_page).status_code == 200
    assert _route(client, route) == (3, 1, 0, 1)
    shown = {meter["serial"]: meter for meter in _meters(client, route)}
    assert shown[second]["missed"] == {"reason": "no access", "note": "Gate locked"}
    assert (shown[first]["due"], shown[second]["due"], shown[third]["due"]) == (False, True, True)
    other = client.post("/round/missed", json=missed | {"reason": "dog"}, headers=on_page)
    assert other.status_code == 409


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"reason": "tired"}, "one of the reasons"),
        ({"reason": "other", "note": " "}, "Write in the note why"),
        ({"id": "7"}, "must be a UUID"),
        ({"missed_at": "2126-01-01T00:00:00Z"}, "in the future"),
        ({"missed_at": "2026-01-01T00:00:00"}, "with its zone"),
        ({"note": "x" * 501}, "500 characters"),
        ({"extra": 1}, "no field called"),
    ],
)
def test_a_visit_that_cannot_be_is_refused_with_a_sentence(
    client: FlaskClient, utility: Utility, wrong: dict[str, Any], sentence: str
) -> None:
    visit = {"id": str(uuid4()), "meter_serial": "M", "missed_at": utility.now.isoformat()}
    on_page = bearer(utility, Role.ENGINEER)
    answer = client.post("/round/missed", json=visit | {"reason": "dog"} | wrong, headers=on_page)
    assert answer.status_code == 422
    assert sentence in answer.get_json()["error"]["message"]


def test_what_the_office_asks_for_again_is_due_until_it_is_read(
    client: FlaskClient, on_page: dict[str, str], on_route: Callable[..., str], utility: Utility
) -> None:
    route, serial = f"R {uuid4().hex[:6]}", f"M-{uuid4().hex[:8]}"
    on_route(serial, route, 1)
    reading = _read(client, on_page, utility, serial, "1117")
    assert _route(client, route) == (1, 0, 0, 0)
    asked: dict[str, Any] = {"principal": ADMIN, "now": utility.now, "reason": " Blurred "}
    asked["meter_id"] = meter_id(utility, serial)
    round_ = utility.services.reading_round
    request = round_.ask_again(request_id=str(uuid4()), about_reading_id=reading, **asked)
    assert request.reason == "Blurred"
    assert round_.ask_again(request_id=str(uuid4()), **asked).id == request.id
    assert _route(client, route) == (1, 1, 1, 0)
    assert _meters(client, route)[0]["asked"] == "Blurred"
    # The same value on the same day adds no reading, and is an answer all the same.
    assert _read(client, on_page, utility, serial, "1117") == reading
    assert _route(client, route) == (1, 0, 0, 0)
    later = round_.ask_again(request_id=str(uuid4()), **asked)
    assert round_.withdraw(request_id=later.id, principal=ADMIN).done_at is not None
    assert _route(client, route) == (1, 0, 0, 0)


def test_a_long_route_comes_in_pages(
    client: FlaskClient, on_page: dict[str, str], on_route: Callable[..., str], utility: Utility
) -> None:
    assert on_page
    route = f"R {uuid4().hex[:6]}"
    serials = [on_route(f"M-{uuid4().hex[:8]}", route, None) for _ in range(3)]
    round_, found, after = utility.services.reading_round, [], None
    for _ in range(2):
        page = round_.meters(route=route, principal=ADMIN, now=utility.now, after=after, limit=2)
        found += [due.meter.serial for due in page.meters]
        after = page.after
    assert sorted(found) == sorted(serials)
    assert after is None
    bad = client.get("/round/meters?route=x&after_sequence=-1&after_code=y", headers=SAME)
    assert bad.status_code == 400


def test_a_round_goes_out_as_a_file_and_comes_back_as_readings(
    client: FlaskClient,
    on_page: dict[str, str],
    on_route: Callable[..., str],
    utility: Utility,
) -> None:
    assert on_page
    route, serials = f"R {uuid4().hex[:6]}", [f"M-{uuid4().hex[:8]}" for _ in range(3)]
    for place, serial in enumerate(serials):
        on_route(serial, route, place)
    importer = Importer(utility.services.database, utility.services.settings.timezone)
    files = {}
    for kind in ("xlsx", "csv"):
        answer = client.get(f"/round/file/{kind}", query_string={"route": route}, headers=SAME)
        assert answer.headers["Content-Disposition"].endswith(f'.{kind}"')
        files[kind] = answer.data
        nothing = importer.readings(answer.data, actor=ADMIN.user, now=utility.now)
        assert (nothing.errors, nothing.added) == ((), 0)
        left_out = "3 meters without a reading left out."
        assert [remark.message for remark in nothing.remarks] == [left_out]
    rows = list(csv.DictReader(io.StringIO(files["csv"].decode("utf-8-sig"))))
    assert [row["meter_serial"] for row in rows] == serials
    assert rows[0]["expected"].startswith("1,000 to ")
    assert rows[0]["waits_for_review"] == "no"
    assert (rows[0]["how_to_get_in"], rows[0]["shown_last_time"]) == ("Dog", "1000")
    read_at = utility.now.astimezone(utility.services.settings.timezone)
    for row, kwh in zip(rows[:2], ("1117", "900"), strict=True):
        row |= {"reading_kwh": kwh, "read_at": f"{read_at:%Y-%m-%d}"}
    filled = io.StringIO()
    writer = csv.DictWriter(filled, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    report = importer.readings(filled.getvalue(), actor=ADMIN.user, now=utility.now)
    assert (report.errors, report.added) == ((), 2)
    assert [remark.message for remark in report.remarks] == ["1 meter without a reading left out."]
    assert _route(client, route) == (3, 1, 0, 0)


def test_an_estimate_is_no_read(
    client: FlaskClient, on_page: dict[str, str], on_route: Callable[..., str], utility: Utility
) -> None:
    assert on_page
    route, serial = f"R {uuid4().hex[:6]}", f"M-{uuid4().hex[:8]}"
    on_route(serial, route, 1)
    with psycopg.connect(dsn_of(utility)) as sql:
        sql.execute("select set_config('billing.actor', 'test', false)")
        sql.execute(
            "insert into readings (id, meter_id, read_at, read_on, register_wh, source, status,"
            " submitted_by) values (gen_random_uuid(), %s, %s, %s, 1100000, 'estimated',"
            " 'accepted', 'job:x')",
            (meter_id(utility, serial), utility.now - timedelta(hours=1), utility.today),
        )
    assert _route(client, route) == (1, 1, 0, 0)


def test_a_photo_comes_before_its_reading_and_is_seen_by_the_office(
    client: FlaskClient, on_page: dict[str, str], meter: str, utility: Utility
) -> None:
    key, photos = str(uuid4()), utility.services.meter_photos
    where = f"/round/photos/{key}?meter={meter}"
    first = client.put(where, data=_JPEG, headers=on_page)
    assert first.status_code == 200, first.text
    assert client.put(where, data=_JPEG, headers=on_page).get_json() == first.get_json()
    photo_id = first.get_json()["id"]
    # Nothing came of it yet, so it is of no reading.
    assert photos.of_meter(meter_id=meter_id(utility, meter), principal=ADMIN) == []
    body = {"meter_serial": meter, "reading_kwh": "1117", "read_at": utility.now.isoformat()}
    sent = client.post(READING, json=body | {"idempotency_key": key}, headers=on_page)
    reading_id = sent.get_json()["reading"]["id"]
    (found,) = photos.of_reading(reading_id=reading_id, principal=ADMIN)
    assert (found.id, found.taken_by) == (photo_id, "engineer-1")
    assert photos.content(found, principal=ADMIN).startswith(b"\xff\xd8\xff")
    seen = client.get(f"/round/photos/{photo_id}", headers=SAME)
    assert (seen.status_code, seen.mimetype) == (200, "image/jpeg")
    assert seen.headers["X-Content-Type-Options"] == "nosniff"
    other = utility.services.tokens.issue("engineer-2", Role.ENGINEER, utility.now)
    hidden = client.get(f"/round/photos/{photo_id}", headers={"Authorization": f"Bearer {other}"})
    assert hidden.status_code == 403
    another = client.put(where, data=_jpeg("blue"), headers=on_page)
    assert another.status_code == 409


def test_the_photo_of_a_missed_read_belongs_to_it(
    client: FlaskClient, on_page: dict[str, str], meter: str, utility: Utility
) -> None:
    visit = {"id": str(uuid4()), "meter_serial": meter, "missed_at": utility.now.isoformat()}
    where = f"/round/photos/{visit['id']}?meter={meter}"
    assert client.put(where, data=_JPEG, headers=on_page).status_code == 200
    assert client.post("/round/missed", json=visit | {"reason": "dog"}, headers=on_page).is_json
    photos = utility.services.meter_photos
    (found,) = photos.of_meter(meter_id=meter_id(utility, meter), principal=ADMIN)
    assert found.missed_read_id == visit["id"]


def test_a_photo_whose_reading_never_came_ends_after_thirty_days(
    client: FlaskClient, on_page: dict[str, str], meter: str, utility: Utility
) -> None:
    keys = {name: str(uuid4()) for name in ("lost", "read", "missed", "young", "next")}

    def keep(name: str, jpeg: bytes) -> str:
        where = f"/round/photos/{keys[name]}?meter={meter}"
        answer = client.put(where, data=jpeg, headers=on_page)
        assert answer.status_code == 200, answer.text
        return str(answer.get_json()["id"])

    # Two photos of the same picture: it stays as long as one of them does.
    ids = {
        name: keep(name, _JPEG if name in {"lost", "read"} else _jpeg(colour))
        for name, colour in {"lost": "", "read": "", "missed": "green", "young": "black"}.items()
    }
    lost_alone = str(uuid4())
    keys["alone"] = lost_alone
    ids["alone"] = keep("alone", _jpeg("yellow"))
    body = {"meter_serial": meter, "reading_kwh": "1117", "read_at": utility.now.isoformat()}
    client.post(READING, json=body | {"idempotency_key": keys["read"]}, headers=on_page)
    visit = {"id": keys["missed"], "meter_serial": meter, "missed_at": utility.now.isoformat()}
    client.post("/round/missed", json=visit | {"reason": "dog"}, headers=on_page)
    with psycopg.connect(dsn_of(utility)) as sql:
        sql.execute(
            "update photos_to_claim set kept_at = kept_at - interval '31 days'"
            " where photo_id <> %s",
            (ids["young"],),
        )
    ids["next"] = keep("next", _jpeg("white"))
    with psycopg.connect(dsn_of(utility)) as sql:
        there = {str(one) for (one,) in sql.execute("select id from meter_photos").fetchall()}
        waits = {str(one) for (one,) in sql.execute("select photo_id from photos_to_claim")}
        pictures = sql.execute(
            "select count(*) from photo_contents c where not exists"
            " (select 1 from meter_photos p where p.sha256 = c.sha256)"
        ).fetchone()
        with pytest.raises(psycopg.errors.RaiseException, match="are kept"):
            sql.execute("delete from meter_photos where id = %s", (ids["read"],))
    assert there & set(ids.values()) == {ids[name] for name in ("read", "missed", "young", "next")}
    assert waits & set(ids.values()) == {ids["young"], ids["next"]}
    assert pictures == (0,)
    (found,) = utility.services.meter_photos.of_meter(
        meter_id=meter_id(utility, meter), principal=ADMIN, limit=1
    )
    assert utility.services.meter_photos.content(found, principal=ADMIN)


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"<script>alert(1)</script>", 422), (b"", 422), (bytes(1_100_000), 413)],
)
def test_what_is_no_photo_is_refused_and_nothing_is_kept(
    client: FlaskClient, on_page: dict[str, str], meter: str, content: bytes, status: int
) -> None:
    where = f"/round/photos/{uuid4()}?meter={meter}"
    refused = client.put(where, data=content, headers=on_page)
    assert refused.status_code == status
    assert client.put(where, data=_JPEG, headers=on_page).status_code == 200
    bad_key = client.put(f"/round/photos/x?meter={meter}", data=_JPEG, headers=on_page)
    assert bad_key.status_code == 422
    strange = client.put(where, data=_JPEG, headers=SAME)
    assert strange.status_code == 403
    nowhere = client.put(f"/round/photos/{uuid4()}?meter=M-none", data=_JPEG, headers=on_page)
    assert nowhere.status_code == 404


def test_bearers_may_ask_too_and_nobody_else(client: FlaskClient, utility: Utility) -> None:
    found = client.get("/round/meters?route=", headers=bearer(utility, Role.ENGINEER))
    assert found.status_code == 200
    assert client.get("/round/meters?route=").status_code == 401


def _route(client: FlaskClient, route: str) -> tuple[int, int, int, int]:
    after = {"after": route[:-1]}
    routes = client.get("/round/routes", query_string=after, headers=SAME).get_json()["routes"]
    (found,) = [one for one in routes if one["route"] == route]
    return found["meters"], found["still"], found["asked"], found["missed"]


def _meters(client: FlaskClient, route: str) -> list[dict[str, Any]]:
    found = client.get("/round/meters", query_string={"route": route}, headers=SAME).get_json()
    assert found["after"] is None
    return list(found["meters"])


def test_the_office_sees_what_a_phone_sent_and_was_refused(
    client: FlaskClient, on_page: dict[str, str], utility: Utility
) -> None:
    serial, other = f"M-{uuid4().hex[:8]}", f"M-{uuid4().hex[:8]}"
    utility.add_meter(serial)
    at = utility.now.isoformat()

    def send(headers: dict[str, str], **body: Any) -> int:
        sent = {"meter_serial": serial, "reading_kwh": "123456", "read_at": at, **body}
        return client.post(READING, json=sent, headers=headers).status_code

    def refused() -> list[tuple[str, str, str, bool, bool]]:
        found = utility.services.reading_round.refused(principal=ADMIN)
        return [
            (one.meter_serial, one.shown, one.why, one.meter_id is None, one.was_read_since)
            for one in found
            if one.meter_serial in (serial, other)
        ]

    key = str(uuid4())
    # However often the phone sends it, and whatever the time is then.
    assert [send(on_page, idempotency_key=key) for _ in range(2)] == [422, 422]
    known = (serial, "123456", "This meter shows 5 digits", False)
    assert [(s, v, why[:25], none) for s, v, why, none, _ in refused()] == [known]
    assert send(on_page, meter_serial=other, idempotency_key=str(uuid4())) == 404
    registers = {"registers": {"peak": "7"}, "reading_kwh": "1117"}
    assert send(on_page, idempotency_key=str(uuid4()), **registers) == 422
    assert [(s, v, none) for s, v, _, none, _ in refused()] == [
        (serial, "1117 peak=7", False),
        (other, "123456", True),
        (serial, "123456", False),
    ]
    # Programs get their answer themselves.
    assert send(bearer(utility, Role.ENGINEER), idempotency_key=str(uuid4())) == 422
    assert len(refused()) == 3
    assert not any(since for *_, since in refused())
    _read(client, on_page, utility, serial, "1117")
    assert [since for *_, since in refused()] == [True, False, True]
    with pytest.raises(NotAllowed):
        utility.services.reading_round.refused(principal=ENGINEER)


def test_so_much_is_kept_of_what_one_person_was_refused(utility: Utility) -> None:
    database, actor = utility.services.database, f"phone-{uuid4()}"
    told = {"actor": actor, "meter_serial": "M", "shown": "1", "read_at": "", "why": "No."}
    kept = [database.note_refused_read(key=str(n), **told) for n in range(201)]
    assert kept == [True] * 200 + [False]


def _read(
    client: FlaskClient, on_page: dict[str, str], utility: Utility, serial: str, kwh: str
) -> str:
    body = {"meter_serial": serial, "reading_kwh": kwh, "read_at": utility.now.isoformat()}
    answer = client.post(READING, json=body | {"idempotency_key": str(uuid4())}, headers=on_page)
    assert answer.status_code in {200, 201}, answer.get_json()
    return str(answer.get_json()["reading"]["id"])


def dsn_of(utility: Utility) -> str:
    """The address of the utility's database."""
    address = utility.services.settings.database_url
    assert address is not None
    return address.get_secret_value()


def code_of(utility: Utility, serial: str) -> str:
    """The code of the place where a meter is installed."""
    return str(_now(utility, serial).service_point_code)


def meter_id(utility: Utility, serial: str) -> str:
    """The id of a meter."""
    return _now(utility, serial).id


def _now(utility: Utility, serial: str) -> Meter:
    return utility.services.readings.meter_now(
        serial=serial, principal=ADMIN, now=utility.now
    ).meter
