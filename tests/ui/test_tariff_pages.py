"""The Tariffs pages, run without a browser over a real database."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from streamlit.testing.v1 import AppTest

from scheduler import Scheduler
from services.bootstrap import build_services, run_with
from services.container import Services
from services.identity.permissions import Role
from services.languages.language import Language
from services.quantities.period import first_of_month, local_date, next_month, start_of_day
from services.readings.submission import parse_submission
from services.settings import PROJECT_FOLDER, load_settings
from services.tariff_publishing.templates import TEMPLATES
from services.tariffs import parse_tariff
from services.tariffs.values import in_words
from tests.integration.utility import ADMIN
from tests.ui.page_runs import now, press, put, signed_in, user_of, without_database, words
from tests.ui.untranslated import english_on, reads_arabic

pytestmark = pytest.mark.postgres

LIST, DETAIL, EDITOR = "tariffs/tariffs.py", "tariffs/tariff.py", "tariffs/tariff_editor.py"
EXAMPLES = PROJECT_FOLDER / "examples/tariffs"
KSEB = json.loads((EXAMPLES / "kseb-lt1a.json").read_text())
CODE = KSEB["code"]


@pytest.fixture(scope="module")
def services(own_settings: dict[str, str]) -> Iterator[Services]:
    """Services over a database of this module's own, with a tariff that billed 117 kWh."""
    built = build_services(load_settings(own_settings))
    add_tariff(built, KSEB)
    add_bill(built)
    yield built
    built.close()


@pytest.fixture(autouse=True)
def running(services: Services) -> Iterator[None]:
    """What the pages find in this process."""
    run_with(services, Scheduler(services))
    yield
    run_with(None)


def add_tariff(services: Services, data: dict[str, Any]) -> None:
    tariff = parse_tariff(data)
    ids = {"version_id": str(uuid4()), "tariff_id": str(uuid4())}
    services.database.publish_tariff(actor="test", tariff=tariff, **ids)


def add_bill(services: Services) -> None:
    """A bill of 117 kWh that ended on the last day of the month before."""
    zone = services.settings.timezone
    closed = first_of_month(local_date(now(), zone)) - timedelta(days=1)
    opened = closed - timedelta(days=31)
    customer = {"account_no": "A-1", "name": "House", "email": "", "phone": "", "address": "x"}
    put(services, "customers", customer | {"id": str(uuid4())})
    meter: dict[str, Any] = {
        "id": str(uuid4()),
        "opening_reading_id": str(uuid4()),
        "serial": "M-1",
    }
    meter |= {"account_no": "A-1", "tariff_code": CODE, "kind": "manual", "dials": 5}
    meter |= {"multiplier_milli": 1000, "opening_wh": 1_000_000, "opened_on": opened.isoformat()}
    put(services, "meters", meter | {"opened_at": start_of_day(opened, zone).isoformat()})
    read_at = start_of_day(closed, zone)
    body = {"meter_serial": "M-1", "reading_kwh": "1117", "read_at": read_at.isoformat()}
    submitted = services.reading_to_bill.submit(
        submission=parse_submission(body, zone=zone, now=now()),
        principal=ADMIN,
        now=now(),
        arrived_by="a test",
    )
    assert submitted.bill is not None


def opened(services: Services, page: str, **query: str) -> AppTest:
    return signed_in(services, Role.ADMIN, page, **query)


def write(app: AppTest, label: str, text: str) -> AppTest:
    """Type into the first field with this label."""
    field = next(field for field in app.text_input if field.label == label)
    return field.set_value(text).run()


def look_at(app: AppTest, label: str) -> AppTest:
    """Choose one of the views."""
    group = next(group for group in app.button_group if label in group.options)
    return group.set_value(label).run()


def plain(said: str) -> str:
    """Words without the backslashes that Markdown takes away."""
    return said.replace("\\", "")


def figures(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def names(services: Services) -> list[str]:
    """What the tariffs are called that the tests have made so far."""
    return [one.name for one in services.tariff_publishing.tariffs(principal=ADMIN)]


def value_of(app: AppTest, label: str) -> str:
    return str(next(field.value for field in app.text_input if field.label == label))


class TestWhoSeesThem:
    @pytest.mark.parametrize("page", [LIST, DETAIL, EDITOR])
    def test_an_engineer_is_not_allowed(self, services: Services, page: str) -> None:
        app = signed_in(services, Role.ENGINEER, page, code=CODE)
        assert "Not allowed: this page is for" in words(app)
        assert not app.title

    @pytest.mark.parametrize("page", [LIST, DETAIL, EDITOR])
    def test_a_page_run_past_the_menu_asks_who_is_there(self, page: str) -> None:
        app = AppTest.from_file(str(PROJECT_FOLDER / "pages" / page), default_timeout=20).run()
        assert words(app) == "Sign in first."

    @pytest.mark.parametrize("page", [LIST, DETAIL, EDITOR])
    def test_without_a_database_it_is_said_calmly(self, services: Services, page: str) -> None:
        with without_database(services) as away:
            run_with(away, Scheduler(away))
            app = opened(services, page, code=CODE)
        assert "The database cannot be reached just now" in words(app)
        assert not app.exception

    @pytest.mark.parametrize("page", [DETAIL, EDITOR])
    def test_a_tariff_that_is_not_there_is_told(self, services: Services, page: str) -> None:
        assert "No such" in words(opened(services, page, code="NONE"))


class TestListAndDetail:
    def test_each_tariff_is_listed_with_its_versions_and_meters(self, services: Services) -> None:
        said = words(opened(services, LIST))
        assert f"**{CODE}** · INR · 1 meter · " in said
        assert "in force since 1 Jan 2020" in said

    def test_a_version_is_read_in_words(self, services: Services) -> None:
        app = opened(services, DETAIL, code=CODE)
        said = words(app)
        assert "50 to 100 kWh: 3.70" in said
        assert "half up to the smallest amount" in said
        assert "Published by test" in said
        assert not app.exception

    def test_117_kwh_are_previewed_as_540_35_with_the_next_kwh_and_the_arithmetic(
        self, services: Services
    ) -> None:
        app = look_at(opened(services, DETAIL, code=CODE), "Preview")
        app.slider[0].set_value(117).run()
        assert figures(app)["117 kWh cost"] == "₹540.35"
        assert figures(app)["One kWh more costs"] == "₹5.38"
        assert "424.10 × 10 ÷ 100 = 42.41" in app.code[0].value
        assert not app.exception

    def test_the_bills_of_last_month_stay_what_they_were(self, services: Services) -> None:
        app = look_at(opened(services, DETAIL, code=CODE), "Who pays more")
        assert figures(app) == {
            "Billed": "₹540.35",
            "Under this version": "₹540.35",
            "Pay more": "0",
            "Pay less": "0",
        }

    def test_two_versions_stand_side_by_side(self, services: Services) -> None:
        first = KSEB | {"code": "TWO", "name": "Two versions"}
        second = json.loads(json.dumps(first)) | {"effective_from": "2021-01-01"}
        second["charges"][0]["slabs"][1]["rate"] = "4.10"
        add_tariff(services, first)
        add_tariff(services, second)
        said = words(opened(services, DETAIL, code="TWO"))
        assert "Charges: 1 changed, 6 unchanged." in said
        assert "| 1 Jan 2020 | 1 Jan 2021 |" in said
        assert "50 to 100 kWh: 3.70" in said
        assert "**50 to 100 kWh: 4.10** :orange-badge[+0.40 (+10.8%)]" in said


class TestEditor:
    def test_it_starts_from_the_version_with_the_next_date_that_is_free(
        self, services: Services
    ) -> None:
        app = opened(services, EDITOR, code=CODE)
        today = local_date(now(), services.settings.timezone)
        assert app.date_input[0].value == next_month(today)
        assert "This tariff can be used." in words(app)

    def test_a_new_rate_shows_at_once_in_the_preview_and_in_the_changes(
        self, services: Services
    ) -> None:
        app = write(opened(services, EDITOR, code=CODE), "Slab 1: rate", "4.15")
        app.slider[0].set_value(100).run()
        assert figures(app)["100 kWh cost"] == "₹503.89"  # 50 × 1.00 and 10% duty more
        assert "now +₹55.00 (+12.3%)" in words(app)
        assert "+1.00 (+31.7%)" in words(look_at(app, "Changes"))
        # Who pays more for last month.
        assert figures(look_at(app, "Who pays more"))["Pay more"] == "1"
        assert "| A-1 :gray[:small[M-1]] | ₹540.35 → ₹595.35 | +₹55.00 (+10.2%) |" in words(app)

    def test_a_wrong_number_stays_in_its_field_with_the_reason(self, services: Services) -> None:
        app = write(opened(services, EDITOR, code=CODE), "Slab 1: rate", "3.l5")
        assert value_of(app, "Slab 1: rate") == "3.l5"
        said = words(app)
        why = "rate must be a number such as 3.25"
        assert f"Energy charge: the first slab's {why}" in plain(said)
        assert f"The first slab's {why}" in plain(said)  # beneath the field
        assert "charges" not in said
        assert not app.exception

    def test_form_and_json_are_two_ways_to_write_one_text(self, services: Services) -> None:
        app = write(opened(services, EDITOR, code=CODE), "Slab 1: rate", "3.16")
        text = str(app.text_area[0].value)
        assert '{"up_to_kwh": "50", "rate": "3.16"}' in text
        app.text_area[0].set_value(text.replace("3.16", "3.17")).run()
        assert value_of(app, "Slab 1: rate") == "3.17"

    def test_text_that_is_no_json_is_kept_and_the_place_is_named(self, services: Services) -> None:
        app = opened(services, EDITOR, code=CODE)
        app.text_area[0].set_value('{"code": "KSEB-LT1A",').run()
        assert app.text_area[0].value == '{"code": "KSEB-LT1A",'
        assert "line 1, character" in words(app)
        assert not app.exception

    def test_a_new_tariff_begins_with_a_template_and_nothing_is_wrong_before_something_was_typed(
        self, services: Services
    ) -> None:
        app = opened(services, EDITOR)
        assert "Begin with the way you charge" in words(app)
        assert not app.error
        press(app, "Slabs with fixed charge and tax")
        assert value_of(app, "Code") == "SLABS"
        assert value_of(app, "Currency") == services.settings.currency
        assert "This tariff can be used." in words(app)
        assert figures(app)["100 kWh cost"] == "₹446.25"
        press(app, "Add a slab")
        assert "Energy: the third slab's rate" in plain(words(app))
        assert not app.error
        write(app, "Slab 2: up to kWh", "1,500")
        assert value_of(app, "Slab 2: up to kWh") == "1500"
        assert figures(app)["100 kWh cost"] == "₹446.25"  # as it was when it could be used
        press(app, "Yes, start over")
        assert "Begin with the way you charge" in words(app)

    def test_a_copy_has_a_code_of_its_own_and_a_code_that_is_taken_is_pointed_out(
        self, services: Services
    ) -> None:
        app = opened(services, EDITOR)
        index = next(i for i, o in enumerate(app.selectbox[0].options) if f"({CODE})" in o)
        app.selectbox[0].select_index(index).run()
        press(app, "Copy it")
        assert value_of(app, "Code") == f"{CODE}-COPY"
        assert "It is a new tariff" in words(app)
        write(app, "Code", CODE)
        assert "has this code: this becomes a version of it" in words(app)
        press(app, "Yes, start over")

    def test_a_draft_is_still_there_after_a_look_at_another_page(self, services: Services) -> None:
        app = write(opened(services, EDITOR, code=CODE), "Slab 1: rate", "3.18")
        app.switch_page(LIST).run()
        app.query_params["code"] = CODE
        app.switch_page(EDITOR).run()
        assert value_of(app, "Slab 1: rate") == "3.18"
        press(app, "Yes, start over")
        assert value_of(app, "Slab 1: rate") == "3.15"

    def test_a_file_takes_the_place_of_the_draft_to_the_letter(self, services: Services) -> None:
        app = opened(services, EDITOR)
        text = (EXAMPLES / "kseb-eht-66kv.json").read_text()
        app.file_uploader[0].upload("rate.json", text.encode(), "application/json").run()
        press(app, "Use it")
        assert app.text_area[0].value == text
        assert "This tariff can be used." in words(app)
        assert not app.exception


class TestPublishing:
    def test_a_published_version_is_in_force_from_its_date_under_my_name(
        self, services: Services
    ) -> None:
        add_tariff(services, KSEB | {"code": "PUB", "name": "To publish"})
        app = write(opened(services, EDITOR, code="PUB"), "Amount", "7.00")
        app = press(app, "Yes, publish it")
        assert "**7.00 per bill** :orange-badge[+1.00 (+16.7%)]" in words(app)
        newest = services.database.published_versions(code="PUB")[0]
        assert newest.published_by == "some.admin"
        assert newest.effective_from == next_month(local_date(now(), services.settings.timezone))
        assert newest.tariff.to_json()["charges"][2]["amount"] == "7.00"

    def test_a_refusal_says_why_and_keeps_the_draft(self, services: Services) -> None:
        app = write(opened(services, EDITOR, code=CODE), "Amount", "8.00")
        app.date_input[0].set_value(date(2020, 2, 1)).run()
        press(app, "Yes, publish it")
        said = words(app)
        assert "Tariff KSEB-LT1A is billed up to" in said
        assert "your draft is kept" in said
        assert value_of(app, "Amount") == "8.00"
        assert len(services.database.published_versions(code=CODE)) == 1


def _ask_use_of_a_demand_tariff() -> None:
    import json  # noqa: PLC0415 - AppTest runs this function's text alone
    from datetime import date  # noqa: PLC0415

    import streamlit as st  # noqa: PLC0415

    from pages.tariffs.tariff_scenario import ask_use  # noqa: PLC0415
    from services.settings import PROJECT_FOLDER  # noqa: PLC0415
    from services.tariffs import parse_tariff  # noqa: PLC0415

    text = (PROJECT_FOLDER / "examples/tariffs/kseb-eht-66kv.json").read_text(encoding="utf-8")
    scenario, _, _ = ask_use(parse_tariff(json.loads(text)), today=date(2026, 5, 1), key="t")
    st.text(f"{scenario.peak_w} W")


@pytest.mark.parametrize(
    ("typed", "shown", "said"),
    [
        ("1,250.5", "1250500 W", ""),
        ("1 250,5 kW", "1250500 W", ""),
        ("1,250", None, "1,250 may be 1250 or 1.250"),
        ("-1", None, "cannot be negative"),
        ("1000000.001", None, "At most 1,000,000."),
    ],
)
def test_a_previews_demand_may_be_typed_as_it_is_printed(
    typed: str, shown: str | None, said: str
) -> None:
    app = AppTest.from_function(_ask_use_of_a_demand_tariff).run()
    start = app.text[0].value
    (field,) = [one for one in app.text_input if one.label == "Peak kW"]
    field.set_value(typed).run()
    assert app.text[0].value == (shown or start)
    assert said in plain("\n".join(caption.value for caption in app.caption))


class TestInAnotherLanguage:
    ARABIC = Language.of("ar")
    # What the tariff itself says.
    DATA = (
        *(KSEB["name"], KSEB["source"]),
        *(charge["description"] for charge in KSEB["charges"]),
        *(in_words(charge["code"]) for charge in KSEB["charges"]),
    )

    @pytest.mark.parametrize(
        ("page", "views"),
        [
            (LIST, [""]),
            (DETAIL, ["Charges", "Preview", "Who pays more"]),
            (EDITOR, [""]),
            ("tariffs/tariff_correction.py", [""]),
        ],
    )
    def test_a_page_has_no_english_of_its_own(
        self, services: Services, page: str, views: list[str]
    ) -> None:
        reads_arabic(services, user_of(Role.ADMIN))
        for view in views:
            shown = {"show": self.ARABIC.gettext(view)} if view else {}
            begins = {"from": KSEB["effective_from"]} if "correction" in page else {}
            app = signed_in(services, Role.ADMIN, page, code=CODE, **shown, **begins)
            assert not app.exception
            assert english_on(app, data=(*self.DATA, *names(services))) == [], view

    def test_a_template_has_no_english_but_what_customers_would_read(
        self, services: Services
    ) -> None:
        reads_arabic(services, user_of(Role.ADMIN))
        for template in TEMPLATES:
            app = signed_in(services, Role.ADMIN, EDITOR)
            assert english_on(app, data=names(services)) == []
            app = press(app, self.ARABIC.gettext(template.name))
            assert not app.exception
            own = (
                "off peak",
                "Off peak",
                template.name,
                *(c["description"] for c in template.charges),
            )
            assert english_on(app, data=own) == [], template.name
            app.session_state["tariff-drafts"] = {}
