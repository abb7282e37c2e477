"""A sign-in that was ended opens nothing, wherever its token is kept; refusals are written down."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from jose import jwk, jws

from app import create_app
from services.database.errors import NotFound
from services.database.transport import TemporaryDatabaseError
from services.identity.api_keys import make_api_key
from services.identity.auth import (
    LocalTokens,
    NotAllowed,
    NotSignedIn,
    Principal,
    Scope,
    UnableToIssueToken,
    new_api_key,
    session_of,
)
from services.identity.permissions import Role
from services.identity.security_log import SecurityLog
from services.identity.sessions import CACHE_SECONDS, Sessions
from services.identity.signing_key import load_or_create_signing_key
from tests.integration.api.talk import READING, answer_of, error_of
from tests.integration.utility import ADMIN, Utility, make_utility

HOUR = timedelta(hours=1)
YEAR = timedelta(days=365)


@pytest.fixture(scope="module")
def utility(
    fresh_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Utility]:
    made = make_utility(fresh_database(), tmp_path_factory.mktemp("data"))
    yield made
    made.services.close()


@pytest.fixture
def client(utility: Utility) -> FlaskClient:
    return create_app(utility.services, clock=lambda: utility.now).test_client()


@pytest.fixture
def user() -> str:
    return f"user-{uuid4()}"


def token_of(utility: Utility, user: str, role: Role = Role.ADMIN, **how: Any) -> str:
    return utility.services.tokens.issue(user, role, utility.now, **how)


def status(client: FlaskClient, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return client.get("/api/scheduler/status", headers=headers).status_code


def events(utility: Utility, who: str) -> list[str]:
    found = utility.services.database.security_events(limit=50, who=who)
    return [event.event for event in reversed(found)]


class TestEnding:
    def test_signing_out_ends_the_cookies_value_everywhere(
        self, utility: Utility, client: FlaskClient, user: str
    ) -> None:
        token = token_of(utility, user)
        assert status(client, token) == 200
        utility.services.sign_out(token, None, utility.now)
        assert status(client, token) == 401
        with pytest.raises(NotSignedIn, match="was ended"):
            utility.services.who(token, utility.now)
        assert events(utility, user) == ["sign_in", "sign_out"]

    def test_a_token_that_was_never_used_ends_with_the_sign_out_too(
        self, utility: Utility, client: FlaskClient, user: str
    ) -> None:
        token = token_of(utility, user)
        utility.services.sign_out(token, None, utility.now)
        assert status(client, token) == 401

    def test_another_process_learns_of_it_within_seconds(self, utility: Utility, user: str) -> None:
        clock = [0.0]
        other = Sessions(
            utility.services.database,
            SecurityLog(utility.services.database),
            clock=lambda: clock[0],
        )
        principal = utility.services.tokens.verify(token_of(utility, user), utility.now)
        other.admit(principal)
        utility.services.sessions.sign_out(principal)
        other.admit(principal)
        clock[0] = CACHE_SECONDS
        with pytest.raises(NotSignedIn):
            other.admit(principal)

    def test_an_administrator_takes_a_token_of_a_year_back(
        self, utility: Utility, client: FlaskClient, user: str
    ) -> None:
        token = token_of(utility, user, lifetime=YEAR)
        another = token_of(utility, user, lifetime=YEAR)
        assert (status(client, token), status(client, another)) == (200, 200)
        first = utility.services.database.sessions(limit=5, user=user)[-1]
        assert (first.role, first.via, first.ended_at) == ("admin", "token", None)
        utility.services.sessions.end(first.id, actor="boss")
        assert (status(client, token), status(client, another)) == (401, 200)
        ended = utility.services.database.sessions(limit=5, user=user)[-1]
        assert ended.ended_by == "boss"

    def test_who_is_dismissed_is_refused_with_old_and_new_tokens_until_readmitted(
        self, utility: Utility, client: FlaskClient, user: str
    ) -> None:
        used, unused = token_of(utility, user), token_of(utility, user)
        assert status(client, used) == 200
        later = utility.now + timedelta(seconds=1)
        services = utility.services
        assert services.sessions.end_all_of(user, principal=ADMIN, now=later, dismiss=True) == 1
        fresh = services.tokens.issue(user, Role.ADMIN, later + timedelta(seconds=1))
        for token in (used, unused, fresh):
            assert status(client, token) == 403
        with pytest.raises(NotAllowed, match="no longer"):
            services.who(fresh, later + timedelta(seconds=1))
        services.sessions.readmit(user, principal=ADMIN)
        assert [status(client, token) for token in (used, unused, fresh)] == [401, 401, 200]
        assert {"user_dismissed", "user_readmitted"} <= set(events(utility, user))

    def test_ending_all_of_a_user_takes_tokens_back_that_were_never_seen(
        self, utility: Utility, client: FlaskClient, user: str
    ) -> None:
        unused, others = token_of(utility, user), token_of(utility, f"{user}-2")
        later = utility.now + timedelta(seconds=1)
        utility.services.sessions.end_all_of(user, principal=ADMIN, now=later, dismiss=False)
        assert (status(client, unused), status(client, others)) == (401, 200)

    def test_a_sign_in_that_is_not_there_cannot_be_ended(self, utility: Utility) -> None:
        with pytest.raises(NotFound):
            utility.services.sessions.end(str(uuid4()), actor="boss")

    def test_while_the_database_is_away_who_is_signed_in_stays_so_and_nobody_new_comes(
        self, utility: Utility, user: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = [0.0]
        database = utility.services.database
        sessions = Sessions(database, SecurityLog(database), clock=lambda: clock[0])
        known, unknown = (
            utility.services.tokens.verify(token_of(utility, user), utility.now) for _ in range(2)
        )
        sessions.admit(known)

        def away(**_: object) -> None:
            raise TemporaryDatabaseError("08006", "away")

        monkeypatch.setattr(database, "use_session", away)
        clock[0] = 60
        sessions.admit(known)
        with pytest.raises(TemporaryDatabaseError):
            sessions.admit(unknown)
        clock[0] = 301
        with pytest.raises(TemporaryDatabaseError):
            sessions.admit(known)

    def test_a_right_to_choose_a_role_is_another_one_after_each_sign_out(
        self, utility: Utility, user: str
    ) -> None:
        services, now = utility.services, utility.now
        assert services.passwordless is not None
        right = services.passwordless.choices.issue(now)
        assert services.may_choose_role(right, now)
        renewed = services.sign_out(token_of(utility, user), right, now + 8 * HOUR)
        assert renewed
        assert services.may_choose_role(renewed, now + 8 * HOUR)
        assert not services.may_choose_role(right, now)
        assert services.sign_out(None, right, now) is None
        assert services.sign_out(None, None, now) is None

    def test_old_tokens_without_an_id_can_be_ended_too(self, utility: Utility, user: str) -> None:
        principal = utility.services.tokens.verify(token_of(utility, user), utility.now)
        assert principal.session is not None
        claims = {"iss": "https://tenant.example/", "sub": user, "iat": 1, "exp": 2}
        assert session_of(claims) == session_of(dict(claims))
        assert session_of(claims) != session_of(claims | {"iat": 2})
        assert session_of(claims | {"jti": principal.session}) != principal.session


class TestKeys:
    def key(self, utility: Utility, scope: Scope = "all", name: str = "") -> str:
        return make_api_key(
            utility.services.database,
            actor="boss",
            name=name or f"program {uuid4()}",
            role=Role.ENGINEER,
            scope=scope,
            expires_at=utility.now + HOUR,
        )

    def test_an_expired_key_is_refused(self, utility: Utility) -> None:
        headers = {"X-API-Key": self.key(utility)}
        now = [utility.now + HOUR - timedelta(seconds=1)]
        client = create_app(utility.services, clock=lambda: now[0]).test_client()
        assert client.get("/api/scheduler/status", headers=headers).status_code == 200
        now[0] += timedelta(seconds=1)
        message = error_of(client.get("/api/scheduler/status", headers=headers), 401)
        assert "expired" in message

    def test_a_head_ends_key_submits_readings_and_reads_nothing(
        self, utility: Utility, client: FlaskClient
    ) -> None:
        serial = f"M-{uuid4().hex[:8]}"
        utility.add_meter(serial)
        headers = {"X-API-Key": self.key(utility, "submit_readings")}
        body = {"meter_serial": serial, "reading_kwh": "1117", "read_at": utility.now.isoformat()}
        bill = answer_of(client.post(READING, json=body, headers=headers), 201)["bill"]
        for path in (f"/api/bills/{bill['id']}", f"/api/bills/customer/A-{serial}"):
            assert "one thing alone" in error_of(client.get(path, headers=headers), 403)
        assert error_of(client.get("/api/scheduler/status", headers=headers), 403)

    def test_a_key_for_reading_bills_reads_all_and_submits_nothing(
        self, utility: Utility, client: FlaskClient
    ) -> None:
        serial = f"M-{uuid4().hex[:8]}"
        utility.add_meter(serial)
        bill = utility.submit(serial, 1117).bill
        assert bill is not None
        headers = {"X-API-Key": self.key(utility, "read_bills")}
        assert answer_of(client.get(f"/api/bills/{bill.id}", headers=headers), 200)
        body = {"meter_serial": serial, "reading_kwh": "1118", "read_at": utility.now.isoformat()}
        assert error_of(client.post(READING, json=body, headers=headers), 403)

    def test_the_first_use_and_failed_uses_are_written_down_but_not_each_request(
        self, utility: Utility, client: FlaskClient
    ) -> None:
        name = f"program {uuid4()}"
        key = self.key(utility, name=name)
        for _ in range(5):
            client.get("/api/scheduler/status", headers={"X-API-Key": key})
            client.get("/api/scheduler/status", headers={"X-API-Key": "ebk_wrong"})
        assert events(utility, f"key:{name}") == ["key_made", "key_first_used"]
        log = utility.services.database.security_events(limit=100)
        assert sum("not known" in event.detail for event in log) == 1
        assert not [event for event in log if key in event.model_dump_json()]
        (kept,) = [k for k in utility.services.database.api_keys() if k.name == name]
        assert kept.last_used_at is not None


class TestBillsOfOthers:
    def test_an_engineer_reads_the_bills_of_meters_that_they_read(
        self, utility: Utility, client: FlaskClient
    ) -> None:
        mine, other = (f"M-{uuid4().hex[:8]}" for _ in range(2))
        for serial in (mine, other):
            utility.add_meter(serial)
        bills = {serial: utility.submit(serial, 1117).bill for serial in (mine, other)}
        headers = {
            name: {"Authorization": f"Bearer {token_of(utility, name, role)}"}
            for name, role in (
                ("engineer-1", Role.ENGINEER),
                ("engineer-2", Role.ENGINEER),
                ("boss", Role.ADMIN),
            )
        }
        for serial, bill in bills.items():
            assert bill is not None
            by_id, by_customer = f"/api/bills/{bill.id}", f"/api/bills/customer/A-{serial}"
            for name, expected in (("engineer-1", 200), ("boss", 200), ("engineer-2", 403)):
                assert client.get(by_id, headers=headers[name]).status_code == expected
                listed = answer_of(client.get(by_customer, headers=headers[name]), 200)["bills"]
                assert len(listed) == (0 if name == "engineer-2" else 1)

    def test_a_reading_that_was_not_accepted_shows_no_bill(
        self, utility: Utility, client: FlaskClient
    ) -> None:
        serial = f"M-{uuid4().hex[:8]}"
        utility.add_meter(serial)
        bill = utility.submit(serial, 1117, at=utility.now - timedelta(days=1)).bill
        assert bill is not None
        headers = {"Authorization": f"Bearer {token_of(utility, 'nosy', Role.ENGINEER)}"}
        body = {"meter_serial": serial, "reading_kwh": "1", "read_at": utility.now.isoformat()}
        assert client.post(READING, json=body, headers=headers).status_code == 202
        assert client.get(f"/api/bills/{bill.id}", headers=headers).status_code == 403

    def test_an_exact_repeat_of_anothers_reading_shows_no_bill_of_it(
        self, utility: Utility, client: FlaskClient
    ) -> None:
        serial = f"M-{uuid4().hex[:8]}"
        utility.add_meter(serial)
        bill = utility.submit(serial, 1117).bill
        assert bill is not None
        body = {"meter_serial": serial, "reading_kwh": "1117", "read_at": utility.now.isoformat()}
        for key in ({}, {"idempotency_key": "k1"}, {"idempotency_key": "k1"}):
            nosy = {"Authorization": f"Bearer {token_of(utility, 'nosy', Role.ENGINEER)}"}
            found = client.post(READING, json=body | key, headers=nosy)
            answer = answer_of(found, 200)
            assert (answer["bill"], answer["bills"]) == (None, [])
            assert bill.reference not in found.text
            assert {step["status"] for step in answer["steps"][4:]} == {"skipped"}
        for name, role in (("engineer-1", Role.ENGINEER), ("boss", Role.ADMIN)):
            theirs = {"Authorization": f"Bearer {token_of(utility, name, role)}"}
            answer = answer_of(client.post(READING, json=body, headers=theirs), 200)
            assert answer["bill"]["id"] == bill.id

    def test_a_key_that_only_submits_has_the_bill_of_its_own_reading_again(
        self, utility: Utility
    ) -> None:
        serial = f"M-{uuid4().hex[:8]}"
        utility.add_meter(serial)
        program = Principal(
            "key:p", frozenset({Role.ADMIN}), None, "api_key", scope="submit_readings"
        )
        another = replace(program, user="key:q")
        first, again = (utility.submit(serial, 1117, principal=program) for _ in range(2))
        assert first.bill is not None
        assert again.bill == first.bill
        assert utility.submit(serial, 1117, principal=another).bill is None


@pytest.mark.parametrize(
    "name", ["system:stripe", "job:monthly_bills", "JOB:x", "key:head-end", "cli:root", "system"]
)
def test_nobody_signs_in_under_a_name_of_the_systems_own(utility: Utility, name: str) -> None:
    with pytest.raises(UnableToIssueToken, match="system's own"):
        utility.services.tokens.issue(name, Role.ADMIN, utility.now)
    tokens = utility.services.tokens
    assert isinstance(tokens, LocalTokens)
    key = load_or_create_signing_key(utility.services.settings.data_dir)
    good = tokens.issue("x", Role.ADMIN, utility.now)
    claims = jws.get_unverified_claims(good)
    signed = jws.sign(json.loads(claims) | {"sub": name}, jwk.construct(key, "HS256"))
    with pytest.raises(NotSignedIn, match="system's own"):
        tokens.verify(signed, utility.now)


def test_refusals_cannot_fill_the_log(utility: Utility) -> None:
    clock = [0.0]
    log = SecurityLog(utility.services.database, clock=lambda: clock[0])
    marker = str(uuid4())
    for number in range(500):
        log.note("refused", who=f"somebody {number}", address=marker, detail="x" * 10_000)
    found = utility.services.database.security_events(limit=1000, event="refused")
    mine = [event for event in found if event.address == marker]
    assert len(mine) == 30
    clock[0] = 61
    log.note("refused", who="somebody\n", address=marker)
    latest = utility.services.database.security_events(limit=1)[0]
    assert (latest.who, latest.detail.strip()) == (
        "somebody?",
        "(470 more of this kind were left out before.)",
    )


def test_a_flood_by_strangers_hides_nobody_who_is_named(utility: Utility) -> None:
    log, who = SecurityLog(utility.services.database, clock=lambda: 0.0), str(uuid4())
    for number in range(100):
        log.note("refused", detail=f"/api/{number}")
        log.note("denied", address=f"203.0.113.{number}")
    log.note("denied", who=who, detail="/bill: Not allowed.")
    found = utility.services.database.security_events(limit=9, who=who)
    assert [event.detail for event in found] == ["/bill: Not allowed."]


@pytest.mark.parametrize(
    "secret", [new_api_key(), "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"], ids=["key", "token"]
)
def test_a_secret_in_the_wrong_field_does_not_reach_the_log(
    utility: Utility, secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    log, marker = SecurityLog(utility.services.database), str(uuid4())
    with caplog.at_level("INFO"):
        log.note("refused", who=secret, address=marker, detail=f"/api/bills/{secret}: No.")
    event = utility.services.database.security_events(limit=1)[0]
    assert event.address == marker
    for text in (event.who, event.detail, caplog.text):
        assert secret[4:] not in text
    assert event.detail.endswith("…: No.")


def test_the_log_is_read_page_by_page(utility: Utility) -> None:
    log, who = utility.services.security_log, str(uuid4())
    for number in range(5):
        log.note("sign_in", who=who, detail=str(number))
    first = utility.services.database.security_events(limit=2, who=who)
    rest = utility.services.database.security_events(limit=9, who=who, before=first[-1].id)
    assert [event.detail for event in (*first, *rest)] == ["4", "3", "2", "1", "0"]
