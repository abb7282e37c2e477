"""The pages Sign-ins and Security log, and a bill that is not an engineer's, without a browser."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
import streamlit as st
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.testing.v1 import AppTest

from pages.shared import session
from scheduler import Scheduler
from services.bootstrap import run_with
from services.database.embedded import EmbeddedPostgres
from services.identity.auth import NotAllowed, NotSignedIn, Principal
from services.identity.permissions import Role
from services.settings import PROJECT_FOLDER
from tests.integration.utility import Utility, make_utility

pytestmark = pytest.mark.postgres
BOSS = Principal("boss", frozenset({Role.ADMIN}), None, "token")


@pytest.fixture(scope="module")
def utility() -> Iterator[Utility]:
    folder = Path(tempfile.mkdtemp(prefix="billing-sessions-"))
    folder.chmod(0o711)
    server = EmbeddedPostgres(folder / "data")
    server.start()
    made = make_utility(server.database("session_pages"), folder)
    run_with(made.services, Scheduler(made.services))
    yield made
    run_with(None)
    made.services.close()
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


def token_of(utility: Utility, user: str, role: Role) -> str:
    return utility.services.tokens.issue(user, role, datetime.now(UTC))


def page(
    utility: Utility, path: str, *, role: Role = Role.ADMIN, user: str = "boss", **query: str
) -> AppTest:
    app = AppTest.from_file(str(PROJECT_FOLDER / "pages/main.py"), default_timeout=60)
    app.session_state["token"] = token_of(utility, user, role)
    app.run()
    for name, value in query.items():
        app.query_params[name] = value
    return app.switch_page(path).run()


def words(app: AppTest) -> str:
    kinds = ("markdown", "caption", "warning", "error", "info")
    found = [str(getattr(element, "value", "")) for kind in kinds for element in app.get(kind)]
    return "\n".join(found).replace("\\", "")


def test_an_administrator_ends_one_sign_in(utility: Utility) -> None:
    user = f"user-{uuid4()}"
    token = token_of(utility, user, Role.ENGINEER)
    principal = utility.services.who(token, datetime.now(UTC))
    app = page(utility, "sign_ins/sign_ins.py")
    assert user in words(app)
    app.button(key=f"end-{principal.session}").click().run()
    with pytest.raises(NotSignedIn, match="was ended"):
        utility.services.who(token, datetime.now(UTC))
    assert user not in words(app)
    log = page(utility, "sign_ins/security_log.py")
    assert f"**Sign-in ended** · {user}" in words(log)


def test_an_administrator_dismisses_a_person_and_lets_them_in_again(utility: Utility) -> None:
    person = f"user-{uuid4()}"
    token = token_of(utility, person, Role.ADMIN)
    utility.services.who(token, datetime.now(UTC))
    app = page(utility, "sign_ins/sign_ins.py")
    app.text_input(key="user").set_value(person).run()
    app.button(key="dismiss").click().run()
    with pytest.raises(NotAllowed):
        utility.services.who(token, datetime.now(UTC))
    assert "may not sign in since" in words(app)
    app.button(key="readmit").click().run()
    with pytest.raises(NotSignedIn):
        utility.services.who(token, datetime.now(UTC))


def test_nobody_dismisses_themselves(utility: Utility) -> None:
    app = page(utility, "sign_ins/sign_ins.py")
    app.text_input(key="user").set_value("boss").run()
    keys = [button.key for button in app.button]
    assert "end-all" in keys
    assert "dismiss" not in keys


def test_an_engineer_opens_the_bill_of_a_meter_that_they_read_and_no_other(
    utility: Utility,
) -> None:
    serial = f"M-{uuid4().hex[:8]}"
    utility.add_meter(serial)
    bill = utility.submit(serial, 1117).bill
    assert bill is not None
    mine = page(utility, "bills/bill.py", role=Role.ENGINEER, user="engineer-1", id=bill.id)
    other = page(utility, "bills/bill.py", role=Role.ENGINEER, user="engineer-2", id=bill.id)
    assert "₹540.35" in words(mine) or any("540.35" in str(t.value) for t in mine.table)
    assert "Not allowed: You may read the bills of meters whose readings are yours." in words(other)
    assert "540.35" not in words(other)
    log = page(utility, "sign_ins/security_log.py")
    assert "**Not allowed** · engineer-2" in words(log)


def test_a_page_left_open_gives_no_file_once_its_sign_in_was_ended(
    utility: Utility, monkeypatch: pytest.MonkeyPatch
) -> None:
    serial, user = f"M-{uuid4().hex[:8]}", f"user-{uuid4()}"
    utility.add_meter(serial)
    bill = utility.submit(serial, 1117).bill
    assert bill is not None
    makers: dict[str, Callable[[], bytes]] = {}

    def keep(
        _: object, make: Callable[[], bytes], *__: object, file_name: str, **___: object
    ) -> str:
        makers[file_name] = make
        return f"/media/{file_name}"

    monkeypatch.setattr(MediaFileManager, "add_deferred", keep)
    page(utility, "bills/bills.py", role=Role.MANAGER, user=user)
    page(utility, "bills/bill.py", role=Role.MANAGER, user=user, id=bill.id)
    assert f"{bill.reference}.pdf" in makers
    assert len(makers) == 3
    for make in makers.values():
        assert make()
    utility.services.sessions.end_all_of(user, principal=BOSS, now=datetime.now(UTC), dismiss=True)
    for make in makers.values():
        with pytest.raises(NotAllowed, match="no longer sign in"):
            make()


@pytest.mark.parametrize("refused", [NotSignedIn, NotAllowed])
def test_a_part_of_a_page_that_runs_after_the_end_of_its_sign_in_leads_to_the_door(
    monkeypatch: pytest.MonkeyPatch, refused: type[Exception]
) -> None:
    class RunAgain(Exception):
        pass

    def shown() -> None:
        raise refused("over")

    def rerun() -> None:
        raise RunAgain

    monkeypatch.setattr(session, "_shown", shown)
    monkeypatch.setattr(st, "rerun", rerun)
    with pytest.raises(RunAgain):
        session.while_signed_in(bytes)


@pytest.mark.parametrize("path", ["sign_ins/sign_ins.py", "sign_ins/security_log.py"])
def test_only_administrators_see_them(utility: Utility, path: str) -> None:
    app = page(utility, path, role=Role.ENGINEER, user="engineer-3")
    assert "Not allowed: this page is for" in words(app)
