"""The utility's own settings, on both transports: kept, audited, and never lost to another's."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from PIL import Image

from services.database.errors import IllegalChange
from services.database.transport import DatabaseError
from services.identity.auth import NotAllowed
from services.records.bills import Bill
from services.utility_settings.desk import SettingsDesk
from services.utility_settings.entry import InvalidSettings
from services.utility_settings.logo import InvalidLogo
from tests.contract.over import Over, dsn_of
from tests.integration.utility import ADMIN, ENGINEER


def picture(kind: str = "PNG", color: str = "teal") -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (60, 20), color).save(written, kind)
    return written.getvalue()


class Office:
    """The Settings page as one administrator uses it."""

    def __init__(self, over: Over) -> None:
        self.over = over
        self.desk: SettingsDesk = over.utility.services.settings_desk

    def change(self, change_id: str | None = None, **body: Any) -> bool:
        seen = self.desk.shown(principal=ADMIN).stored
        return self.desk.change(
            change_id=change_id or str(uuid4()), body=body, seen=seen, principal=ADMIN
        )

    @property
    def stored(self) -> dict[str, Any]:
        kept: dict[str, Any] = self.over.same("utility_settings").settings
        return kept


def bill_of(over: Over, serial: str = "M1") -> Bill:
    """An issued bill of a new meter."""
    over.utility.add_meter(serial)
    bill = over.utility.submit(serial, 1117).bill
    assert bill is not None
    return bill


@pytest.fixture
def office(over: Over) -> Office:
    return Office(over)


def test_a_change_holds_at_once_and_is_kept_by_name(office: Office) -> None:
    assert office.stored == {}
    assert office.change(utility_name="Hill Power", due_days=30)
    assert office.stored == {"utility_name": "Hill Power", "due_days": 30}
    services = office.over.utility.services
    assert services.settings.utility_name == "Hill Power"
    assert services.issuer.issue(datetime.now(UTC)).due_days == 30
    assert office.change(bill_approval=True)
    assert services.issuer.approval
    assert office.stored["due_days"] == 30


def test_what_changes_nothing_writes_nothing(office: Office) -> None:
    assert not office.change(due_days=15, utility_phone="")
    office.change(utility_name="Hill Power")
    assert not office.change(utility_name=" Hill  Power ")
    assert office.over.same("utility_settings").version == 1


def test_who_changed_what_when_from_what_to_what(office: Office) -> None:
    began = datetime.now(UTC) - timedelta(seconds=5)
    office.change(utility_name="Hill Power")
    office.change(utility_name="River Power", fees={"INR": {"reconnection": "250"}})
    last, first = office.over.same("utility_settings_changes", limit=10)
    assert (first.actor, first.before) == (ADMIN.user, {})
    assert first.after == {"utility_name": "Hill Power"}
    assert last.before == {"utility_name": "Hill Power"}
    assert last.after == {"utility_name": "River Power", "fees": {"INR": {"reconnection": 25000}}}
    assert began < first.at < last.at
    assert office.desk.changes(principal=ADMIN) == [last, first]


def test_the_same_change_again_answers_its_first_result(office: Office) -> None:
    seen, change_id = office.desk.shown(principal=ADMIN).stored, str(uuid4())
    given: dict[str, Any] = {"change_id": change_id, "seen": seen, "principal": ADMIN}
    for _ in range(2):
        office.desk.change(body={"utility_name": "Hill Power"}, **given)
    assert office.over.same("utility_settings").version == 1
    with pytest.raises(IllegalChange, match="stored already"):
        office.desk.change(body={"utility_name": "River Power"}, **given)
    assert office.stored == {"utility_name": "Hill Power"}


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(office: Office) -> None:
    seen = office.desk.shown(principal=ADMIN).stored
    office.change(due_days=30)
    given: dict[str, Any] = {"change_id": str(uuid4()), "seen": seen, "principal": ADMIN}
    with pytest.raises(IllegalChange, match="Somebody else"):
        office.desk.change(body={"due_days": 7}, **given)
    # Another setting is nobody's but ours.
    assert office.desk.change(body={"utility_name": "Hill Power"}, **given)
    assert office.stored == {"utility_name": "Hill Power", "due_days": 30}


def test_a_logo_is_kept_beside_the_settings_and_taken_away(office: Office) -> None:
    def put(content: bytes, name: str = "logo.png") -> bool:
        seen = office.desk.shown(principal=ADMIN).stored
        return office.desk.put_logo(
            change_id=str(uuid4()), content=content, file_name=name, seen=seen, principal=ADMIN
        )

    assert put(picture())
    first = office.stored["logo"]
    image = office.over.same("utility_logo", first)
    assert Image.open(io.BytesIO(image)).size == (60, 20)
    assert not put(picture())
    assert put(picture("JPEG", "red"), "logo.jpg")
    with pytest.raises(InvalidLogo):
        put(b"<svg/>", "logo.svg")
    seen = office.desk.shown(principal=ADMIN).stored
    assert office.desk.remove_logo(change_id=str(uuid4()), seen=seen, principal=ADMIN)
    assert office.over.utility.services.settings.logo is None
    # Bills that were issued with it still find it.
    assert office.over.same("utility_logo", first) == image
    assert office.over.same("utility_logo", "0" * 64) is None
    gone, *_ = office.over.same("utility_settings_changes", limit=1)
    assert gone.after == {"logo": None}


def test_what_held_when_a_bill_was_issued_can_be_asked(office: Office) -> None:
    def held(bill: Bill) -> dict[str, Any]:
        kept: dict[str, Any] = office.over.same("utility_settings", bill_id=bill.id).settings
        return kept

    first = bill_of(office.over)
    office.change(utility_name="Hill Power")
    second = bill_of(office.over, serial="M2")
    office.change(utility_name="River Power")
    assert held(first) == {}
    assert held(second) == {"utility_name": "Hill Power"}


def test_a_version_is_never_changed_or_deleted(office: Office) -> None:
    office.change(utility_name="Hill Power")
    for statement in (
        "update public.utility_settings set settings = '{}'",
        "delete from public.utility_settings",
        "truncate public.utility_settings cascade",
    ):
        with (
            psycopg.connect(dsn_of(office.over)) as connection,
            pytest.raises(psycopg.Error, match="never"),
        ):
            connection.execute(statement)


def test_a_write_without_an_actor_is_refused(office: Office) -> None:
    with pytest.raises(DatabaseError, match="actor"):
        office.over.here.save_utility_settings(
            actor="", change_id=str(uuid4()), settings={"due_days": 3}, seen={}
        )
    assert office.stored == {}


def test_a_utility_goes_on_with_its_numbers_until_a_bill_has_one(office: Office) -> None:
    assert office.change(first_bill_number=5000)
    assert office.change(first_bill_number=4711)
    assert not office.desk.shown(principal=ADMIN).has_numbers
    assert bill_of(office.over).reference == "INV-004711"
    assert office.desk.shown(principal=ADMIN).has_numbers
    with pytest.raises(IllegalChange, match="numbers already"):
        office.change(first_bill_number=1)
    assert bill_of(office.over, serial="M2").reference == "INV-004712"
    assert office.stored["first_bill_number"] == 4711


def test_a_new_utility_has_its_first_steps_before_it(office: Office) -> None:
    steps = office.over.same("first_steps")
    # The test's utility comes with a tariff.
    assert (steps.tariffs, steps.customers, steps.meters, steps.readings) == (True, *3 * (False,))
    assert office.desk.first_steps(principal=ADMIN)[0] is False
    office.change(utility_name="Hill Power")
    assert office.desk.first_steps(principal=ADMIN)[0] is True
    office.over.utility.add_meter("M1")
    steps = office.over.same("first_steps")
    assert (steps.customers, steps.meters, steps.readings) == (True, True, False)
    office.over.utility.submit("M1", 1117)
    assert office.over.same("first_steps").readings


def test_a_new_customer_speaks_the_language_of_the_utility(office: Office) -> None:
    def put(account: str, **more: str) -> None:
        row = {"row": 1, "id": str(uuid4()), "account_no": account, "name": "A", **more}
        for _ in range(2):
            answer = office.over.here.import_rows(
                what="customers", actor="test", rows=[row], dry_run=False, default_language="th"
            )
            assert not answer.errors

    put("A1")
    put("A2", language="hi")
    languages = {
        account: office.over.here.customer_contact(found.id).language
        for account in ("A1", "A2")
        for found in office.over.here.accounts(text=account).items
    }
    assert languages == {"A1": "th", "A2": "hi"}


def test_only_administrators_look_and_change(office: Office) -> None:
    seen = office.desk.shown(principal=ADMIN).stored
    asked: dict[str, Any] = {"seen": seen, "principal": ENGINEER, "change_id": str(uuid4())}
    for refused in (
        lambda: office.desk.shown(principal=ENGINEER),
        lambda: office.desk.changes(principal=ENGINEER),
        lambda: office.desk.first_steps(principal=ENGINEER),
        lambda: office.desk.change(body={"due_days": 3}, **asked),
        lambda: office.desk.put_logo(content=picture(), file_name="l.png", **asked),
        lambda: office.desk.remove_logo(**asked),
    ):
        with pytest.raises(NotAllowed):
            refused()
    assert office.stored == {}


def test_a_wrong_value_stores_nothing_of_the_form(office: Office) -> None:
    with pytest.raises(InvalidSettings, match="days until due"):
        office.change(utility_name="Hill Power", due_days=400)
    assert office.stored == {}
