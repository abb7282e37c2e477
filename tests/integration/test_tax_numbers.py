"""Tax numbers of customers: from a file, by the office, in the audit trail, back into a file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.accounts.contact import InvalidContact
from tests.integration.files.test_full_export import export, importer, table
from tests.integration.test_utility_settings import text_of
from tests.integration.utility import ADMIN, Utility, make_utility

HEADER = "account_no,name,GST No"


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


def bring(utility: Utility, *rows: str) -> Any:
    return importer(utility).run(
        "customers", "\n".join((HEADER, *rows)), actor="cli:tester", now=utility.now
    )


def number_of(utility: Utility, account_no: str) -> str:
    database = utility.services.database
    (found,) = database.accounts(text=account_no).items
    return database.account(found.id).tax_number


def test_a_file_brings_changes_and_takes_away_a_tax_number(
    utility: Utility, tmp_path: Path
) -> None:
    assert bring(utility, "T-1,Ann,32 aaacb1234c 1z5", "T-2,Ben,").ok
    assert number_of(utility, "T-1") == "32AAACB1234C1Z5"
    assert bring(utility, "T-1,Ann,").ok
    assert number_of(utility, "T-1") == "32AAACB1234C1Z5"
    exported = table(export(utility, tmp_path / "all.zip"), "import/customers.csv")
    assert {row["account_no"]: row["tax_number"] for row in exported} == {
        "T-1": "32AAACB1234C1Z5",
        "T-2": "",
    }
    assert bring(utility, "T-1,Ann,-").ok
    assert number_of(utility, "T-1") == ""
    refused = bring(utility, "T-1,Ann,DE12345678")
    assert not refused.ok
    assert "does not have the form of a VAT number" in str(refused.errors[0])


def test_the_office_changes_it_with_an_audit_and_bills_print_it(
    utility: Utility, database: str
) -> None:
    utility.add_meter("M1")
    (found,) = utility.services.database.accounts(text="A-M1").items
    contacts = utility.services.contacts
    seen = contacts.details(customer_id=found.id, principal=ADMIN)
    how: dict[str, Any] = {"customer_id": found.id, "principal": ADMIN, "now": utility.now}
    body = {"name": seen.name, "address": seen.address, "tax_number": "fr 40 303265045"}
    contacts.change(body=body, seen=seen, **how)
    with psycopg.connect(database) as connection:
        row = connection.execute(
            "select actor, before ->> 'tax_number', after ->> 'tax_number' from public.audit_log"
            " where table_name = 'customers' and action = 'update' order by id desc limit 1"
        ).fetchone()
    assert row == (ADMIN.user, "", "FR40303265045")
    with pytest.raises(InvalidContact, match="The tax number does not have the form"):
        contacts.change(body=body | {"tax_number": "FR4030326504"}, seen=seen, **how)
    bill = utility.submit("M1", 1117).bill
    assert bill is not None
    text = text_of(utility.services.bill_archive.pdf(bill.id).pdf)
    assert "Your tax number FR40303265045" in text.replace("\u200b", "")
