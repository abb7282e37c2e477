"""Each method of the services that takes a principal asks for a permission before anything else."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import pytest

from scheduler import Scheduler
from services.identity.auth import NotAllowed, Principal
from services.identity.permissions import Permission, Role
from tests.integration.utility import Utility, make_utility

pytestmark = pytest.mark.postgres
Methods = dict[str, Callable[..., object]]
NO_ROLE: Final = Principal("nobody", frozenset(), None, "token")
AUDITOR: Final = Principal("auditor-1", frozenset({Role.AUDITOR}), None, "token")
# Whoever is signed in may be, may leave, and see what the security log has about themselves; who
# may not see bills is told of no request about one.
OPEN: Final = {
    *("sessions.admit", "sessions.sign_out", "security_log.events_about", "approvals.about"),
}


@pytest.fixture
def methods(database: str, tmp_path: Path) -> Iterator[Methods]:
    """Every method of the services that takes a principal, by its name."""
    made = make_utility(database, tmp_path)
    yield dict(_methods(made))
    made.services.close()


def _methods(utility: Utility) -> Iterator[tuple[str, Callable[..., object]]]:
    by_name = {
        field.name: getattr(utility.services, field.name) for field in fields(utility.services)
    }
    # Their own account is everybody's, and the language in which they read the pages.
    for own in ("own_account", "user_languages"):
        by_name.pop(own)
    for of, service in (by_name | {"scheduler": Scheduler(utility.services)}).items():
        for name, method in inspect.getmembers(service, inspect.ismethod):
            if not name.startswith("_") and "principal" in inspect.signature(method).parameters:
                yield f"{of}.{name}", method


def is_refused(method: Callable[..., object], principal: Principal) -> bool:
    """Whether it raises NotAllowed, called with anything at all."""
    given: dict[str, Any] = dict.fromkeys(inspect.signature(method).parameters)
    try:
        answer = method(**given | {"principal": principal})
        if inspect.isgenerator(answer):
            next(answer)
    except NotAllowed:
        return True
    except Exception:  # It came so far as to use what it was given.
        return False
    return False


def test_who_has_no_role_is_refused_everything(methods: Methods) -> None:
    assert len(methods) > 140
    open_to_all = {name for name, method in methods.items() if not is_refused(method, NO_ROLE)}
    assert open_to_all == OPEN


def test_an_auditor_is_refused_every_write(methods: Methods) -> None:
    # Every write takes the actor.
    writes = {
        name: method
        for name, method in methods.items()
        if "actor" in inspect.getsource(method) and name not in OPEN
    }
    assert len(writes) > 40
    assert [name for name, method in writes.items() if not is_refused(method, AUDITOR)] == []


def test_every_permission_is_asked_for_somewhere() -> None:
    root = Path(__file__).parents[2]
    asked = "".join(
        path.read_text()
        for folder in ("services", "pages")
        for path in (root / folder).rglob("*.py")
        if path.name != "permissions.py"
    )
    assert [one.name for one in Permission if f"Permission.{one.name}" not in asked] == []
