"""Sign-ins, keys and the security log are the same over both transports."""

from datetime import timedelta
from uuid import uuid4

from services.identity.permissions import Role
from tests.contract.over import Over


def test_a_sign_in_is_noted_ended_and_listed_the_same(over: Over) -> None:
    user = f"user-{uuid4()}"
    services, now = over.utility.services, over.utility.now
    principal = services.tokens.verify(services.tokens.issue(user, Role.ADMIN, now), now)
    assert principal.session
    assert principal.issued_at
    assert principal.expires_at
    asked = {"user": user, "role": "admin", "via": "token", "address": "127.0.0.1"}
    states = [
        database.use_session(
            session_id=principal.session,
            issued_at=principal.issued_at,
            expires_at=principal.expires_at,
            **asked,
        )
        for database in (over.here, over.direct)
    ]
    assert states == ["new", "good"]
    over.here.end_session(actor="boss", session_id=principal.session)
    (listed,) = over.here.sessions(limit=5, user=user)
    assert over.direct.sessions(limit=5, user=user) == [listed]
    assert (listed.id, listed.ended_by) == (principal.session, "boss")
    assert over.here.sessions(limit=5, user=user, still_open=True) == []
    over.here.end_sessions_of(actor="boss", user=user, at=now, dismiss=True)
    assert over.direct.sessions(limit=5, user=user)[0].dismissed_at == now
    over.here.readmit_user(actor="boss", user=user)
    assert over.direct.sessions(limit=5, user=user)[0].dismissed_at is None


def test_the_security_log_reads_the_same(over: Over) -> None:
    who = f"user-{uuid4()}"
    over.here.note_security_event(event="refused", who=who, address="::1", detail="why")
    (row,) = over.here.security_events(limit=5, who=who, event="refused")
    assert over.direct.security_events(limit=5, who=who) == [row]
    assert over.here.security_events(limit=5, who=who, before=row.id) == []


def test_a_keys_end_scope_and_use_read_the_same(over: Over) -> None:
    name, key_id = f"program {uuid4()}", str(uuid4())
    over.here.add_api_key(
        actor="boss",
        key_id=key_id,
        name=name,
        key_hash=key_id,
        role="engineer",
        scope="submit_readings",
        expires_at=over.utility.now + timedelta(days=1),
    )
    assert over.here.use_api_key(key_id=key_id)
    assert not over.direct.use_api_key(key_id=key_id)
    (kept,) = [key for key in over.here.api_keys() if key.id == key_id]
    assert kept in over.direct.api_keys()
    assert kept.scope == "submit_readings"
    assert kept.expires_at == over.utility.now + timedelta(days=1)
    assert kept.last_used_at
