"""A sign-in link works once, for a while; what it gives is a right that ends."""

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.identity.auth import LocalTokens, NotSignedIn
from services.identity.passwordless import Passwordless, RoleChoices, SignInLinks, UnableToKeepLinks
from services.identity.permissions import Role

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KEY = b"k" * 48
HOUR = timedelta(hours=1)


@pytest.fixture
def links(tmp_path: Path) -> SignInLinks:
    return SignInLinks(tmp_path)


def code_of(link: str) -> str:
    return link.rpartition("code=")[2]


class TestLinks:
    def test_a_code_is_good_once_also_in_another_process(
        self, links: SignInLinks, tmp_path: Path
    ) -> None:
        code = code_of(links.make(NOW))
        assert SignInLinks(tmp_path).redeem(code, NOW)
        assert not links.redeem(code, NOW)

    def test_of_many_who_redeem_at_once_one_succeeds(self, links: SignInLinks) -> None:
        code = code_of(links.make(NOW))
        with ThreadPoolExecutor(16) as pool:
            assert sum(pool.map(lambda _: links.redeem(code, NOW), range(100))) == 1

    def test_an_old_code_is_used_up_by_the_attempt(self, links: SignInLinks) -> None:
        code = code_of(links.make(NOW))
        assert not links.redeem(code, NOW + 12 * HOUR)
        assert not links.redeem(code, NOW)

    @pytest.mark.parametrize("code", ["", "made-up", "../address", "address", "é" * 10_000])
    def test_an_unknown_code_is_refused(self, links: SignInLinks, code: str) -> None:
        links.note_address("http://localhost:8600")
        links.make(NOW)
        assert not links.redeem(code, NOW)

    def test_neither_the_code_nor_anything_else_is_there_for_others(
        self, links: SignInLinks, tmp_path: Path
    ) -> None:
        code = code_of(links.make(NOW))
        (folder,) = tmp_path.iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for file in folder.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert code not in file.name + file.read_text()

    def test_a_folder_that_others_can_reach_is_not_used(self, tmp_path: Path) -> None:
        links = SignInLinks(tmp_path)
        links.make(NOW)
        (folder,) = tmp_path.iterdir()
        folder.chmod(0o755)
        with pytest.raises(UnableToKeepLinks, match="chmod 700"):
            links.make(NOW)

    def test_the_link_leads_to_where_the_app_listens(self, links: SignInLinks) -> None:
        assert links.make(NOW).startswith("http://localhost:8501/session/link?code=")
        links.note_address("http://localhost:8600/billing")
        links.note_address("http://localhost:8700/billing")
        assert links.make(NOW).startswith("http://localhost:8700/billing/session/link?code=")


class TestChoices:
    def test_a_link_opens_the_choice_for_an_hour(self, links: SignInLinks) -> None:
        passwordless = Passwordless(links, RoleChoices(KEY))
        right = passwordless.redeem(code_of(links.make(NOW)), NOW)
        choices = passwordless.choices
        assert choices.verify(right, NOW).open
        assert choices.verify(right, NOW + HOUR - timedelta(seconds=1)).open
        assert not choices.verify(right, NOW + HOUR).open
        with pytest.raises(NotSignedIn):
            choices.verify(right, NOW + 13 * HOUR)
        assert passwordless.redeem("made-up", NOW) is None

    def test_no_token_is_a_right_and_no_right_is_a_token(self) -> None:
        choices, tokens = RoleChoices(KEY), LocalTokens(KEY)
        for forged in (tokens.issue("a", Role.ADMIN, NOW), RoleChoices(b"o" * 48).issue(NOW), None):
            with pytest.raises(NotSignedIn):
                choices.verify(forged, NOW)
        with pytest.raises(NotSignedIn):
            tokens.verify(choices.issue(NOW), NOW)
