"""Names of charges in other languages: from the form of a tariff to the bill of a customer."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pypdfium2 as pdfium
import pytest
from streamlit.testing.v1 import AppTest

from scheduler import Scheduler
from services.bootstrap import run_with
from services.identity.permissions import Role
from services.records.bills import Bill
from tests.integration.utility import KSEB, Utility, make_utility
from tests.ui.page_runs import press, signed_in, words

pytestmark = pytest.mark.postgres
EDITOR = "tariffs/tariff_editor.py"
CODE = KSEB["code"]


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path, now=datetime.now(UTC))
    run_with(made.services, Scheduler(made.services))
    yield made
    run_with(None)
    made.services.close()


def editor(utility: Utility, **query: str) -> AppTest:
    return signed_in(utility.services, Role.MANAGER, EDITOR, **query)


def in_language(app: AppTest, tag: str) -> AppTest:
    """Show the names in a language."""
    (field,) = [f for f in app.selectbox if f.label == "Language"]
    return field.set_value(tag).run()


def field_of(app: AppTest, place: int) -> Any:
    """The field for the name of a charge."""
    return next(f for f in app.text_input if f.key and f"charges[{place}].names." in f.key)


def name(app: AppTest, place: int, text: str) -> AppTest:
    """Name a charge in the language that is shown."""
    field_of(app, place).set_value(text)
    return app.run()


def draft(app: AppTest) -> Any:
    return json.loads(str(app.text_area[0].value))


def names_in(app: AppTest) -> list[dict[str, str] | None]:
    return [charge.get("names") for charge in draft(app)["charges"]]


def text_of(pdf: bytes) -> str:
    with pdfium.PdfDocument(pdf) as document:
        return " ".join(document[0].get_textpage().get_text_range().split())


def test_a_name_that_a_manager_gives_a_charge_is_printed_for_who_reads_the_language(
    utility: Utility, database: str
) -> None:
    app = in_language(editor(utility, code=CODE), "es")
    # What customers read without it stands in the field.
    assert field_of(app, 0).placeholder == "Cargo por energía"
    app = name(app, 0, "Energía consumida")
    app = in_language(app, "hi")
    assert field_of(app, 0).value == ""
    app = name(app, 0, "उपयोग की ऊर्जा")
    assert names_in(app)[0] == {"es": "Energía consumida", "hi": "उपयोग की ऊर्जा"}
    assert not any(names_in(app)[1:])
    press(app, "Yes, publish it")
    assert utility.services.database.published_versions(code=CODE)[0].tariff.charges[0].names

    utility.add_meter("M1")
    with psycopg.connect(database) as connection:
        connection.execute("select set_config('billing.actor', 'test', true)")
        connection.execute("update public.customers set language = 'es'")
    bill = utility.submit("M1", 1117).bill
    assert isinstance(bill, Bill)
    printed = text_of(utility.services.bill_archive.pdf(bill.id).pdf)
    assert "Energía consumida" in printed
    assert "Cargo por energía" not in printed
    assert "Cargo fijo" in printed


def test_names_are_kept_when_a_tariff_is_edited_and_copied(utility: Utility) -> None:
    app = name(in_language(editor(utility, code=CODE), "sw"), 0, "Umeme uliotumika")
    next(f for f in app.text_input if f.label == "Slab 1: rate").set_value("3.20").run()
    next(f for f in app.selectbox if f.label == "Priced by").set_value("rate").run()
    assert draft(app)["charges"][0]["rate"] == "3.20"
    assert names_in(app)[0] == {"sw": "Umeme uliotumika"}
    press(app, "Yes, publish it")
    # The next version begins with the names of this one, and shows them.
    app = editor(utility, code=CODE)
    assert field_of(app, 0).value == "Umeme uliotumika"
    app = press(editor(utility), "Copy it")
    assert draft(app)["code"] == f"{CODE}-COPY"
    assert names_in(app)[0] == {"sw": "Umeme uliotumika"}
    # Emptied, it is gone.
    app = name(app, 0, " ")
    assert names_in(app)[0] is None


def test_a_name_that_cannot_be_used_stays_with_the_reason_beneath_it(utility: Utility) -> None:
    app = in_language(editor(utility, code=CODE), "fr")
    app = name(app, 0, "é" * 201)
    assert field_of(app, 0).value == "é" * 201
    said = words(app)
    assert "1 thing to put right:" in said
    assert ":red[The name in Français must have at most 200 characters.]" in said
    assert "Yes, publish it" not in [button.label for button in app.button]
    app = name(app, 0, "é" * 200)
    assert "This tariff can be used." in words(app)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ({"French": "Énergie"}, "the name in French is for no language: write its tag, such as"),
        ({"fr": 7}, "the name in Français must be text."),
        (["fr"], "The name in another language must be an object with named fields."),
    ],
)
def test_wrong_names_of_a_file_are_said_and_nothing_is_lost(
    utility: Utility, names: object, why: str
) -> None:
    app = editor(utility, code=CODE)
    data = draft(app)
    data["charges"][0]["names"] = names
    app.text_area[0].set_value(json.dumps(data)).run()
    assert not app.exception
    assert why in words(app)
    assert draft(app) == data
    app = name(in_language(app, "es"), 1, "Alquiler")
    assert names_in(app)[:2] == [names, {"es": "Alquiler"}]
