"""Addresses say what was chosen by an English word, in whichever language a page is read."""

from datetime import date

import pytest
from streamlit.testing.v1 import AppTest

from pages.languages.addresses import month_slug, slug
from services.languages.language import Language

VIEWS = ("Overview", "Could not be read", "Timeline")


def page_of(tag: str, **query: str) -> AppTest:
    """Views, a month and a name, alone on a page in a language."""

    def page(tag: str) -> None:
        # Streamlit runs the source of this function alone.
        from datetime import date  # noqa: PLC0415

        import streamlit as st  # noqa: PLC0415

        from pages.languages.addresses import (  # noqa: PLC0415
            month_slug,
            segments,
            select,
            select_name,
            select_text,
        )
        from pages.languages.words import speak  # noqa: PLC0415
        from services.languages.language import Language  # noqa: PLC0415

        speak(Language.of(tag))
        views = ("Overview", "Could not be read", "Timeline")
        months = [date(2026, month, 1) for month in (11, 10, 9)]
        view = segments("Show", views, key="view")
        month = select(
            "Month",
            months,
            default=months[1],
            said=Language.month,
            slug_of=month_slug,
            key="of",
        )
        status = select_text("Status", ["Paid", "Draft"], key="status")
        code = select_name("Tariff", ["Paid", "A-1"], key="tariff")
        st.markdown(f"{view} {month} {status} {code}")

    app = AppTest.from_function(page, args=(tag,), default_timeout=30)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def shown(app: AppTest) -> str:
    assert not app.exception
    return str(app.markdown[0].value)


def test_a_text_becomes_a_word_of_the_address() -> None:
    assert [slug(text) for text in VIEWS] == ["overview", "could-not-be-read", "timeline"]
    assert slug("  Who owes? ") == "who-owes"
    assert month_slug(date(2026, 9, 1)) == "2026-09"


@pytest.mark.parametrize("tag", ["en", "es", "ar"])
def test_what_is_chosen_stands_there_in_english_and_is_read_again(tag: str) -> None:
    app = page_of(tag)
    assert shown(app) == "Overview 2026-10-01 None None"
    assert app.query_params == {}
    app.segmented_control(key="view").set_value("Could not be read").run()
    app.selectbox(key="of").select(date(2026, 9, 1)).run()
    app.selectbox(key="status").select("Draft").run()
    app.selectbox(key="tariff").select("A-1").run()
    assert shown(app) == "Could not be read 2026-09-01 Draft A-1"
    address = {"view": "could-not-be-read", "of": "2026-09", "status": "draft", "tariff": "A-1"}
    assert app.query_params == address
    for reader in ("en", "hi", "sw"):
        assert shown(page_of(reader, **address)) == "Could not be read 2026-09-01 Draft A-1"


@pytest.mark.parametrize("tag", ["en", "fr", "ar"])
def test_an_old_address_has_the_english_label_and_leads_there_still(tag: str) -> None:
    app = page_of(tag, view="Could not be read", of="Sep 2026", status="Paid")
    assert shown(app) == "Could not be read 2026-09-01 Paid None"
    app = page_of(tag, view=Language.of(tag).gettext("Timeline"))
    assert shown(app) == "Timeline 2026-10-01 None None"


def test_the_default_is_not_in_the_address_and_an_unknown_word_shows_it() -> None:
    app = page_of("es", view="timeline", of="2026-09", status="paid")
    app.segmented_control(key="view").set_value("Overview").run()
    app.selectbox(key="of").select(date(2026, 10, 1)).run()
    app.selectbox(key="status").set_value(None).run()
    assert shown(app) == "Overview 2026-10-01 None None"
    assert app.query_params == {}
    assert shown(page_of("es", view="nonsense", of="1999-01")) == "Overview 2026-10-01 None None"


def test_another_address_of_the_same_page_is_followed() -> None:
    app = page_of("en", view="timeline")
    app.query_params["view"] = "could-not-be-read"
    assert shown(app.run()).startswith("Could not be read")
    app.query_params.clear()
    assert shown(app.run()).startswith("Overview")
