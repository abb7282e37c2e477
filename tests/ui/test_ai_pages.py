"""What the pages show of AI, run without a browser over a real database and a stand-in model."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from llmock.pytest_plugin import LLMock
from streamlit.testing.v1 import AppTest

from scheduler import Scheduler
from services.bootstrap import run_with
from services.identity.permissions import Role
from services.importing import Importer
from services.records.readings import Reading
from tests.integration.ai.advised import PRICES, Advised, bill, verdict
from tests.servers import NewDatabase

pytestmark = pytest.mark.postgres
ENTRY = """
import streamlit as st
st.navigation(
    [
        st.Page("bills/bill.py", default=True), st.Page("bills/bills.py"), st.Page("home.py"),
        st.Page("system/services.py"),
        st.Page("supply/service_point.py"), st.Page("readings/my_readings.py"),
        st.Page("readings/flagged_reading.py"), st.Page("readings/flagged_readings.py"),
        st.Page("meters/meter.py"),
        st.Page("payments/record_payment.py"), st.Page("customers/customer.py"),
        st.Page("payments/payment.py"), st.Page("corrections/correct_bill.py"),
    ],
    position="hidden",
).run()
"""
Open = Callable[..., AppTest]
Advise = Callable[..., Advised]


@pytest.fixture(scope="module")
def folder(page_folder: Path) -> Path:
    (page_folder / "main.py").write_text(ENTRY)
    return page_folder


@pytest.fixture
def advise(fresh_database: NewDatabase, folder: Path, llmock: LLMock) -> Iterator[Advise]:
    """Call it, with settings, for a utility advised by llmock over a database of the test's own."""
    made: list[Advised] = []

    def advise(**settings: str) -> Advised:
        made.append(Advised(fresh_database(), folder, llmock.base_url(), **(PRICES | settings)))
        services = made[-1].utility.services
        run_with(services, Scheduler(services))
        return made[-1]

    yield advise
    run_with(None)
    for one in made:
        one.close()


@pytest.fixture
def opened(folder: Path) -> Open:
    """Call it for a page as somebody sees it."""

    def opened(advised: Advised, page: str, role: Role = Role.ADMIN, **query: str) -> AppTest:
        app = AppTest.from_file(str(folder / "main.py"), default_timeout=20)
        tokens: Any = advised.utility.services.tokens
        app.session_state["token"] = tokens.issue("some.one", role, advised.utility.now)
        for name, value in query.items():
            app.query_params[name] = value
        return app.run() if page == "bills/bill.py" else app.run().switch_page(page).run()

    return opened


def words(app: AppTest) -> str:
    """All that stands on the page."""
    assert not app.exception
    shown = (*app.markdown, *app.caption, *app.info, *app.warning, *app.error)
    return "\n".join(str(e.value) for e in shown).replace("\\", "")


def flagged_import(advised: Advised) -> Reading:
    """A reading from a file, below the meter's last one."""
    utility = advised.utility
    utility.add_meter("M1")
    importer = Importer(utility.services.database, utility.services.settings.timezone)
    rows = f"meter_serial,reading_kwh,read_at\nM1,900,{utility.now.isoformat()}\n"
    assert importer.readings(rows.encode(), actor="test", now=utility.now).ok
    (reading,) = utility.services.database.readings(status="needs_review").items
    return reading


def test_a_bill_shows_administrators_what_ai_made_of_it(
    advise: Advise, llmock: LLMock, opened: Open
) -> None:
    advised = advise()
    advised.utility.add_meter("M1")
    llmock.reply(verdict()).reply(bill("541.00", energy="424.75"))
    made = advised.utility.submit("M1", 1117).bill
    assert made is not None
    said = words(opened(advised, "bills/bill.py", id=made.id))
    for part in (
        "Differs",
        "₹541.00",
        "₹0.65 more",
        "Energy charge: ₹424.75 instead of ₹424.10",
        "gpt-",
    ):
        assert part in said
    assert "Second opinion" not in words(
        opened(advised, "bills/bill.py", Role.ENGINEER, id=made.id)
    )


def test_a_held_bill_says_that_ai_is_why(advise: Advise, llmock: LLMock, opened: Open) -> None:
    advised = advise()
    advised.utility.add_meter("M1")
    llmock.reply(verdict()).reply(bill("900.00"))
    made = advised.utility.submit("M1", 1117).bill
    assert made is not None
    said = words(opened(advised, "bills/bill.py", id=made.id))
    assert "This bill is a **draft**" in said
    assert "It is too far apart, so the bill was held as a draft." in said


def test_the_month_of_ai_is_counted_beside_its_budget(
    advise: Advise, llmock: LLMock, opened: Open
) -> None:
    advised = advise(AI_MONTHLY_BUDGET="5")
    for serial, total in (("M1", "540.35"), ("M2", "541.00")):
        advised.utility.add_meter(serial)
        llmock.reply(verdict()).reply(bill(total))
        assert advised.utility.submit(serial, 1117).bill
    said = words(opened(advised, "system/services.py"))
    assert "1 agreed, 1 differed" in said
    tokens = advised.books.spending(since=advised.utility.now.replace(day=1, hour=0))
    assert f"{tokens.prompt_tokens:,} in, {tokens.completion_tokens:,} out" in said
    assert "under 0.01 of 5 USD" in said
    assert "budget is spent" not in said


def test_when_the_budget_has_stopped_ai_it_is_said_and_bills_have_no_second_opinion(
    advise: Advise, llmock: LLMock, opened: Open
) -> None:
    prices = {"AI_PRICE_INPUT": "1000", "AI_PRICE_OUTPUT": "1000"}
    advised = advise(AI_MONTHLY_BUDGET="0.01", **prices)
    advised.utility.add_meter("M1")
    llmock.reply(verdict())
    made = advised.utility.submit("M1", 1117).bill
    assert made is not None
    assert "Second opinion" not in words(opened(advised, "bills/bill.py", id=made.id))
    said = words(opened(advised, "system/services.py"))
    assert "This month's budget is spent: AI is not asked again before 1 " in said


def test_an_imported_reading_costs_nothing_until_somebody_asks_about_it(
    advise: Advise, llmock: LLMock, opened: Open
) -> None:
    advised = advise()
    reading = flagged_import(advised)
    app = opened(advised, "readings/flagged_reading.py", id=reading.id)
    assert "AI finds" not in words(app)
    assert llmock.requests == []
    llmock.reply(verdict("suspicious", confidence=93, reason="The register fell."))
    app.button(key=f"ask-ai-on-{reading.id}").click().run()
    assert "AI finds it suspicious (93% sure): The register fell." in words(app)
    (call,) = advised.calls()
    assert (call["purpose"], call["reading_id"]) == ("validate_reading", reading.id)
    assert advised.utility.services.database.reading(reading.id) == reading, "it decides nothing"


def test_an_ai_that_gives_no_answer_may_be_asked_again(
    advise: Advise, llmock: LLMock, opened: Open
) -> None:
    advised = advise()
    reading = flagged_import(advised)
    app = opened(advised, "readings/flagged_reading.py", id=reading.id)
    llmock.fail(500)
    app.button(key=f"ask-ai-on-{reading.id}").click().run()
    assert "AI gave no answer" in words(app)
    llmock.reply(verdict())
    app.button(key=f"ask-ai-on-{reading.id}").click().run()
    assert "AI finds it plausible (90% sure): It fits." in words(app)


def test_what_ai_said_when_the_reading_came_in_is_shown_and_not_asked_again(
    advise: Advise, llmock: LLMock, opened: Open
) -> None:
    advised = advise()
    advised.utility.add_meter("M1")
    llmock.reply(verdict("plausible", reason="The meter was replaced."))
    reading = advised.utility.submit("M1", 900).reading
    app = opened(advised, "readings/flagged_reading.py", id=reading.id)
    assert "AI finds it plausible (90% sure): The meter was replaced." in words(app)
    assert not [b for b in app.button if b.label == "Ask AI about this reading"]
