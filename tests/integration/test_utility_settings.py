"""What the Settings page changes of bills, messages and jobs while the system runs."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pypdfium2 as pdfium
import pytest
from PIL import Image
from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

from services.bill_documents import render
from services.bootstrap import build_services
from services.records.bills import Bill
from services.settings import load_settings
from services.utility_settings.current import SECONDS_BETWEEN_LOOKS
from services.utility_settings.entry import InvalidSettings
from tests.command import run_command
from tests.integration.utility import ADMIN, Utility, make_utility

LOGO_SIZE = (300, 100)


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    made.add_meter("M1", opened_on=made.today - timedelta(days=61))
    yield made
    made.services.close()


def change(utility: Utility, **body: Any) -> None:
    desk = utility.services.settings_desk
    seen = desk.shown(principal=ADMIN).stored
    assert desk.change(change_id=str(uuid4()), body=body, seen=seen, principal=ADMIN)


def put_logo(utility: Utility) -> None:
    written = io.BytesIO()
    Image.new("RGB", LOGO_SIZE, "teal").save(written, "PNG")
    desk = utility.services.settings_desk
    seen = desk.shown(principal=ADMIN).stored
    given: dict[str, Any] = {"file_name": "logo.png", "seen": seen, "principal": ADMIN}
    assert desk.put_logo(change_id=str(uuid4()), content=written.getvalue(), **given)


def billed(utility: Utility, kwh: int, *, days_ago: int = 0) -> Bill:
    """A bill of this very moment."""
    utility.now = datetime.now(UTC)
    bill = utility.submit("M1", kwh, at=utility.now - timedelta(days=days_ago)).bill
    assert bill is not None
    return bill


def text_of(pdf: bytes) -> str:
    with pdfium.PdfDocument(pdf) as document:
        return " ".join(document[0].get_textpage().get_text_range().split())


def images_in(pdf: bytes) -> list[tuple[int, int]]:
    with pdfium.PdfDocument(pdf) as document:
        found = document[0].get_objects(filter=(FPDF_PAGEOBJ_IMAGE,))
        return [one.get_px_size() for one in found]


def test_a_bill_prints_what_held_at_its_issue_whenever_it_is_printed(utility: Utility) -> None:
    archive = utility.services.bill_archive
    change(utility, utility_name="Hill Power", utility_phone="0484 123")
    old = billed(utility, 1117, days_ago=30)
    change(utility, utility_name="River Power", utility_contact="2 River Road")
    put_logo(utility)
    new = billed(utility, 1200)
    # Printed only now, each as at its issue.
    first, second = archive.pdf(old.id).pdf, archive.pdf(new.id).pdf
    assert "Hill Power" in text_of(first)
    assert "0484 123" in text_of(first)
    assert "River" not in text_of(first)
    assert LOGO_SIZE not in images_in(first)
    assert "River Power 2 River Road 0484 123" in text_of(second).replace("Electricity bill ", "")
    assert LOGO_SIZE in images_in(second)
    change(utility, utility_name="Sea Power")
    assert archive.pdf(new.id).pdf == second
    # The same bill with the same settings gives the same bytes.
    assert render(archive.document(new.id)) == second


def test_a_bill_of_an_earlier_date_prints_what_held_when_it_was_made(utility: Utility) -> None:
    change(utility, utility_name="Hill Power")
    utility.now = datetime.now(UTC) - timedelta(days=30)
    bill = utility.submit("M1", 1117).bill
    assert bill is not None
    assert bill.issued_at is not None
    assert bill.issued_at < datetime.now(UTC) - timedelta(days=29)
    change(utility, utility_name="River Power")
    assert utility.services.bill_archive.document(bill.id).utility.name == "Hill Power"


def test_terms_hold_for_the_next_bill_without_a_restart(utility: Utility) -> None:
    change(utility, due_days=30)
    first = billed(utility, 1117, days_ago=30)
    assert first.issued_on is not None
    assert first.due_date == first.issued_on + timedelta(days=30)
    change(utility, bill_approval=True)
    second = billed(utility, 1200)
    assert second.number is None
    change(utility, bill_approval=False, due_days=7)
    again = utility.services.database.bill(first.id)
    assert again.due_date == first.due_date


def test_another_process_takes_a_change_up_by_itself(
    utility: Utility, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"DATABASE_URL": database, "DATA_DIR": str(tmp_path)}
    other = build_services(load_settings(environment), step_handlers={})
    try:
        change(utility, utility_name="Hill Power")
        later = other.current_settings._clock() + SECONDS_BETWEEN_LOOKS
        monkeypatch.setattr(other.current_settings, "_clock", lambda: later)
        assert other.settings.utility_name == "Hill Power"
    finally:
        other.close()


def test_the_environment_wins_and_a_time_zone_waits_for_the_next_start(
    utility: Utility, database: str, tmp_path: Path
) -> None:
    change(utility, utility_name="Hill Power", timezone="Africa/Nairobi", due_days=30)
    assert utility.services.settings.timezone.key == "Asia/Kolkata"
    shown = utility.services.settings_desk.shown(principal=ADMIN)
    assert shown.time_zone_after_restart == "Africa/Nairobi"
    environment = {"DATABASE_URL": database, "DATA_DIR": str(tmp_path), "DUE_DAYS": "10"}
    started = build_services(load_settings(environment), step_handlers={})
    try:
        held = started.settings
        assert (held.utility_name, held.due_days) == ("Hill Power", 10)
        assert held.timezone.key == started.issuer.zone.key == "Africa/Nairobi"
        shown = started.settings_desk.shown(principal=ADMIN)
        assert shown.variable_of("due_days") == "DUE_DAYS"
        assert shown.variable_of("utility_name") is None
        with pytest.raises(InvalidSettings, match="DUE_DAYS"):
            started.settings_desk.change(
                change_id=str(uuid4()), body={"due_days": 3}, seen=shown.stored, principal=ADMIN
            )
    finally:
        started.close()


def test_a_customer_of_an_imported_file_gets_the_language_that_was_set(
    utility: Utility, database: str, tmp_path: Path
) -> None:
    change(utility, default_language="hi")
    file = tmp_path / "customers.csv"
    file.write_text("account_no,name,email,phone,address\nA-9,Asha,,,\n", encoding="utf-8")
    environment = {"DATABASE_URL": database, "DATA_DIR": str(tmp_path), "DEMO": "off"}
    done = run_command("import", "customers", str(file), environment=environment)
    assert done.returncode == 0, done.stderr
    (account,) = utility.services.database.accounts(text="A-9").items
    assert utility.services.database.customer_contact(account.id).language == "hi"
