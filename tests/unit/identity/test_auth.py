"""Roles are kept apart, keys are known by their hash, tickets are good once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from services.identity.auth import (
    NotAllowed,
    NotSignedIn,
    Principal,
    SignInTickets,
    hash_api_key,
    new_api_key,
    require,
    safe_return_path,
)
from services.identity.permissions import Permission, Role

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class TestRoles:
    ENGINEER = Principal("user-7", frozenset({Role.ENGINEER}), None, "api_key")
    BOTH = Principal("user-9", frozenset({Role.AUDITOR, Role.ENGINEER}), None, "token")
    ADMIN = Principal("user-8", frozenset({Role.ADMIN}), None, "token")

    def test_who_has_the_permission_may_and_another_may_not(self) -> None:
        assert require(self.ADMIN, Permission.CHANGE_SETTINGS) is self.ADMIN
        with pytest.raises(NotAllowed, match="role admin; you are signed in as engineer"):
            require(self.ENGINEER, Permission.CHANGE_SETTINGS)
        with pytest.raises(
            NotAllowed, match="manager or admin; you are signed in as engineer, auditor"
        ):
            require(self.BOTH, Permission.RECORD_PAYMENTS)

    def test_several_roles_may_what_each_may(self) -> None:
        assert require(self.BOTH, Permission.SUBMIT_READINGS) is self.BOTH
        assert require(self.BOTH, Permission.VIEW_BOOKS) is self.BOTH

    def test_any_of_several_permissions_is_enough(self) -> None:
        either = (Permission.VIEW_BILLS, Permission.SUBMIT_READINGS)
        assert require(self.ENGINEER, *either) is self.ENGINEER

    def test_without_a_role_everybody_who_is_signed_in_may(self) -> None:
        assert require(self.ENGINEER) is self.ENGINEER

    @pytest.mark.parametrize("permissions", [(), (Permission.VIEW_BILLS,), tuple(Permission)])
    def test_nobody_may_do_nothing(self, permissions: tuple[Permission, ...]) -> None:
        with pytest.raises(NotSignedIn):
            require(None, *permissions)


class TestApiKeys:
    def test_every_key_is_new_and_starts_the_same(self) -> None:
        keys = {new_api_key() for _ in range(100)}
        assert len(keys) == 100
        assert all(key.startswith("ebk_") and len(key) == 47 for key in keys)

    def test_a_key_is_known_by_its_sha256(self) -> None:
        expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        assert hash_api_key("abc") == expected

    def test_any_text_can_be_looked_up(self) -> None:
        assert len(hash_api_key("\ud800")) == 64


class TestTickets:
    def test_a_ticket_is_good_once(self) -> None:
        tickets = SignInTickets()
        ticket = tickets.issue("token", NOW)
        assert tickets.redeem(ticket, NOW) == "token"
        assert tickets.redeem(ticket, NOW) is None

    def test_a_ticket_is_good_for_thirty_seconds(self) -> None:
        tickets = SignInTickets()
        first, second = tickets.issue("first", NOW), tickets.issue("second", NOW)
        assert tickets.redeem(first, NOW + 29 * SECOND) == "first"
        assert tickets.redeem(second, NOW + 30 * SECOND) is None

    def test_an_old_ticket_is_used_up_by_the_attempt(self) -> None:
        tickets = SignInTickets()
        ticket = tickets.issue("token", NOW)
        assert tickets.redeem(ticket, NOW + 60 * SECOND) is None
        assert tickets.redeem(ticket, NOW) is None

    @pytest.mark.parametrize("ticket", ["", "made-up", "é" * 10_000])
    def test_an_unknown_ticket_gives_nothing(self, ticket: str) -> None:
        tickets = SignInTickets()
        tickets.issue("token", NOW)
        assert tickets.redeem(ticket, NOW) is None

    def test_tickets_nobody_redeems_do_not_pile_up(self) -> None:
        tickets = SignInTickets()
        for minute in range(50):
            tickets.issue("token", NOW + timedelta(minutes=minute))
        assert len(tickets._waiting) == 1

    def test_of_many_who_redeem_at_once_one_gets_the_token(self) -> None:
        tickets = SignInTickets()
        ticket = tickets.issue("token", NOW)
        with ThreadPoolExecutor(16) as pool:
            got = list(pool.map(lambda _: tickets.redeem(ticket, NOW), range(200)))
        assert [token for token in got if token] == ["token"]


class TestReturnPath:
    @pytest.mark.parametrize("path", ["/", "/admin/bills", "/bills?month=2026-01#top", "/a:b"])
    def test_a_path_of_our_own_is_kept(self, path: str) -> None:
        assert safe_return_path(path) == path

    @pytest.mark.parametrize(
        "path",
        [
            None,
            "",
            "bills",
            "//example.org",
            "///example.org",
            "/\\example.org",
            "\\\\example.org",
            "/a\\b",
            "https://example.org",
            "javascript:alert(1)",
            "/\t/example.org",
            "/\n/example.org",
            "/bills\r\nSet-Cookie: a=b",
            "/\x00",
            "/\x7f",
            " /bills",
            "/\u2028",
            "/\ud800",
        ],
    )
    def test_anything_else_leads_to_the_start(self, path: str | None) -> None:
        assert safe_return_path(path) == "/"
