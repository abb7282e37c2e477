"""The form of a tariff, run without a browser: templates, words for mistakes, and nothing lost."""

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from services.languages.language import Language
from services.settings import PROJECT_FOLDER
from tests.ui.page_runs import words
from tests.ui.untranslated import english_on
from tests.unit.tariffs.test_places import SAID

EXAMPLES = sorted((PROJECT_FOLDER / "examples/tariffs").glob("*.json"))


def form_of(text: str) -> AppTest:
    """The form of a draft with this text, alone on a page."""

    def page(text: str) -> None:
        # Streamlit runs the source of this function alone.
        from pages.tariffs.tariff_draft import Start, WrittenDraft  # noqa: PLC0415
        from pages.tariffs.tariff_writing import show_problems, show_writing  # noqa: PLC0415

        written = WrittenDraft(Start(None, None))
        if not written.text:
            written.write(text)
        show_problems(show_writing(written))

    app = AppTest.from_function(page, args=(text,), default_timeout=30)
    return app.run()


def form_in_arabic(text: str) -> AppTest:
    """The same, read in Arabic."""

    def page(text: str) -> None:
        # Streamlit runs the source of this function alone.
        from pages.languages.words import speak  # noqa: PLC0415
        from pages.tariffs.tariff_draft import Start, WrittenDraft  # noqa: PLC0415
        from pages.tariffs.tariff_writing import show_problems, show_writing  # noqa: PLC0415
        from services.languages.language import Language  # noqa: PLC0415

        speak(Language.of("ar"))
        written = WrittenDraft(Start(None, None))
        if not written.text:
            written.write(text)
        show_problems(show_writing(written))

    return AppTest.from_function(page, args=(text,), default_timeout=30).run()


@pytest.mark.parametrize("tariff", [one for one, _ in SAID[::5]])
def test_each_mistake_is_said_in_the_language_of_the_visit(tariff: dict[str, Any]) -> None:
    app = form_in_arabic(json.dumps(tariff))
    assert not app.exception
    assert english_on(app, data=("Energy", "Other", "off peak")) == []


def test_what_is_to_be_filled_in_is_named_in_the_language_of_the_visit() -> None:
    tariff: dict[str, Any] = {"code": "", "name": "N", "currency": "INR"}
    tariff |= {"effective_from": "2026-01-01"}
    tariff |= {"charges": [{"code": "e", "description": "", "kind": "energy", "rate": ""}]}
    app = form_in_arabic(json.dumps(tariff))
    arabic = Language.of("ar")
    said = words(app).replace("\u2068", "").replace("\u2069", "")
    assert f"- {arabic.gettext('code')}" in said
    assert arabic.gettext("The {ordinal} charge", ordinal=1) in said
    assert english_on(app) == []


def test_text_that_is_no_json_is_refused_in_the_language_of_the_visit() -> None:
    for text in ("[1]", '{"a": 1, "a": 2}', "[" * 50 + "]" * 50):
        assert english_on(form_in_arabic(text)) == []


def draft_text(app: AppTest) -> Any:
    return json.loads(str(app.text_area[0].value))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_nothing_of_an_example_is_lost_however_its_form_is_used(path: Any) -> None:
    data = json.loads(path.read_text())
    app = form_of(path.read_text())
    assert draft_text(app) == data
    for position in some(range(len(app.text_input))):
        value = str(app.text_input[position].value or "")
        if value and not app.text_input[position].disabled:
            app.text_input[position].set_value("8.5").run()
            assert draft_text(app) != data
            app.text_input[position].set_value(value).run()
            assert draft_text(app) == data
    for position in some(range(len(app.selectbox))):
        choice = app.selectbox[position]
        # The language of the names that are shown is no part of the tariff.
        if len(choice.options) > 1 and choice.label != "Language":
            choice.select_index(0 if choice.index else 1).run()
            assert not app.exception
            assert draft_text(app) != data
            app.text_area[0].set_value(json.dumps(data)).run()
    assert not app.exception
    assert draft_text(app) == data


def some(positions: range) -> range:
    """About six of them, from all over the form."""
    return positions[:: max(1, len(positions) // 6)]


def test_what_has_no_field_is_said_in_words_and_stays() -> None:
    data = json.loads((PROJECT_FOLDER / "examples/tariffs/kseb-eht-66kv.json").read_text())
    data["charges"][0] |= {"ratchet": {"percent": "80", "months": 11}}
    data |= {"months": {"count": "thirtieths"}, "whole_kwh": True}
    app = form_of(json.dumps(data))
    said = words(app)
    assert "Ratchet: at least 80% of the highest of 11 months" in said
    assert "Energy is billed in: whole kWh" in said
    assert "Months are: days / 30" in said
    field = next(f for f in app.text_input if f.label == "Rate")
    field.set_value("1,000.50").run()
    data["charges"][0]["rate"] = "1000.50"
    assert draft_text(app) == data
    ratchet = next(f for f in app.text_input if f.label == "Ratchet: percent")
    ratchet.set_value("75").run()
    data["charges"][0]["ratchet"]["percent"] = "75"
    assert draft_text(app) == data


def test_net_metering_is_chosen_with_its_month_and_its_rate() -> None:
    data = json.loads((PROJECT_FOLDER / "examples/tariffs/kseb-lt1a.json").read_text())
    app = form_of(json.dumps(data))

    def choose(label: str, option: str) -> None:
        field = next(f for f in app.selectbox if f.label == label)
        field.select(option).run()
        assert not app.exception

    choose("Energy sent to the grid", "paid")
    assert draft_text(app)["net_metering"] == {"surplus": "paid"}
    charge = draft_text(app)["charges"][-1]
    assert (charge["quantity"], charge["rate"]) == ("settled_kwh", "")
    assert "Still to be filled in:\n- Surplus paid out: the rate" in words(app)
    choose("The bank of kWh is settled", "3")
    assert draft_text(app)["net_metering"] == {"surplus": "paid", "settled_in": 3}
    choose("The bank of kWh is settled", "never")
    choose("Energy sent to the grid", "lapses")
    assert draft_text(app) == data | {"net_metering": {"surplus": "lapses"}}
    choose("Energy sent to the grid", "none")
    assert draft_text(app) == data
