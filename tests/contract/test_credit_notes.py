"""Credit notes, tax numbers and what bills must say, over both transports."""

from typing import Any
from uuid import uuid4

import pytest

from services.database.errors import IllegalChange, NotFound
from tests.contract.over import Over
from tests.contract.test_accounts import bill_of
from tests.integration.utility import ACTOR, ADMIN


def wanted(over: Over) -> None:
    over.here.save_utility_settings(
        actor=ADMIN.user, change_id=str(uuid4()), settings={"credit_notes": True}, seen={}
    )


def test_a_credit_note_and_its_document(over: Over) -> None:
    bill = bill_of(over)
    assert over.same("credit_notes", limit=5) == []
    wanted(over)
    over.here.void_bill(actor=ADMIN.user, bill_id=bill.id, reason="wrong", on=over.utility.today)
    (note,) = over.same("credit_notes", bill_id=bill.id, limit=5)
    assert over.same("credit_note", note.id) == note
    today = over.utility.today
    found: tuple[dict[str, Any], ...] = (
        {"customer_id": bill.customer_id},
        {"start": today, "text": "cn-000001 house"},
        {"after": 2},
    )
    for asked in found:
        assert over.same("credit_notes", limit=5, **asked) == [note]
    none: tuple[dict[str, Any], ...] = ({"until": today}, {"text": "nobody"}, {"after": 1})
    for asked in none:
        assert over.same("credit_notes", limit=5, **asked) == []
    with pytest.raises(NotFound):
        over.same("credit_note", str(uuid4()))
    assert over.same("credit_note_document", note.id) is None
    sha256 = "3bc51062973c458d5a6f2d8d64a023246354ad7e064b1e4e009ec8a0699a3043"
    given: dict[str, Any] = {"credit_note_id": note.id, "sha256": sha256, "pdf": b"Alice"}
    kept = over.here.keep_credit_note_document(**given)
    assert kept.pdf == b"Alice"
    assert over.here.keep_credit_note_document(**given) == kept
    assert over.same("credit_note_document", note.id) == kept
    settings = over.same("utility_settings", version=note.settings_version)
    assert settings.settings == {"credit_notes": True}
    assert over.same("utility_settings", version=77).version == 0


def test_a_tax_number_is_imported_changed_and_shown(over: Over) -> None:
    bill = bill_of(over)
    account = over.same("account", bill.customer_id)
    assert account.tax_number == ""
    row = {"row": 1, "id": str(uuid4()), "account_no": account.account_no, "name": account.name}
    answer = over.here.import_rows(
        what="customers", actor=ACTOR, rows=[row | {"tax_number": "DE136695976"}], dry_run=False
    )
    assert answer.changed == 1
    assert over.same("account", bill.customer_id).tax_number == "DE136695976"
    names = ("name", "phone", "email", "address", "language")
    before = {name: getattr(account, name) for name in names}
    seen = before | {"tax_number": "DE136695976"}
    changing: dict[str, Any] = {"actor": ACTOR, "customer_id": bill.customer_id, "channels": {}}
    over.here.change_customer(seen=seen, details=before | {"tax_number": "X-77"}, **changing)
    assert over.same("account", bill.customer_id).tax_number == "X-77"
    with pytest.raises(IllegalChange, match="Somebody else changed"):
        over.here.change_customer(seen=seen, details=before | {"tax_number": "Y-1"}, **changing)


def test_which_agreements_have_no_address(over: Over) -> None:
    bill = bill_of(over)
    over.utility.add_meter("M2")
    other = over.utility.submit("M2", 1117).bill
    assert other is not None
    row = {"row": 1, "id": str(uuid4()), "account_no": "A-M2", "name": "House M2", "address": ""}
    over.here.import_rows(what="customers", actor=ACTOR, rows=[row], dry_run=False)
    place = over.here.place(other.service_point_id).point
    names = (
        *("code", "address", "route", "sequence", "phases", "connected_w", "connected_va"),
        *("access_note", "transformer_code"),
    )
    seen = {name: getattr(place, name) for name in names}
    over.here.change_service_point(
        actor=ACTOR,
        service_point_id=other.service_point_id,
        seen=seen,
        details=seen | {"address": ""},
    )
    agreements = [bill.agreement_id, other.agreement_id]
    found = over.same("agreements_without_address", agreements=agreements)
    assert found == {other.agreement_id}
    assert over.same("agreements_without_address", bills=[bill.id, other.id]) == found
