"""The Network page, run without a browser over a real database and the embedded graph."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from streamlit.testing.v1 import AppTest

from pages.network import losses
from pages.network.losses import percent
from pages.network.neighbourhood import dot_of
from scheduler import Scheduler
from services.bootstrap import run_with
from services.graph import Graph, GraphNode, Neighbourhood, OpenedGraph
from services.identity.permissions import Role
from services.importing import Importer
from services.languages.language import Language
from services.records.bills import Bill
from services.records.entries import NewPayment
from services.supply.changes import Exchange, TypedRead
from tests.contract.graph.servers import PATIENT_SECONDS, embedded_graph
from tests.integration.utility import ADMIN, Utility, make_utility
from tests.servers import NewDatabase
from tests.ui.untranslated import english_on

pytestmark = pytest.mark.postgres
ARABIC = Language.of("ar")
ENTRY = """
import streamlit as st
st.navigation(
    [st.Page("network/network.py", default=True), st.Page("bills/bill.py"), st.Page("home.py")],
    position="hidden",
).run()
"""


@dataclass
class Shown:
    """A utility with two transformers, its bills, and the script that opens the page."""

    utility: Utility
    bills: dict[str, Bill]
    entry: Path

    def page(self, role: Role = Role.ADMIN, **query: str) -> AppTest:
        """The page as somebody of a role sees it."""
        app = AppTest.from_file(str(self.entry), default_timeout=60)
        tokens: Any = self.utility.services.tokens
        app.session_state["token"] = tokens.issue("some.one", role, self.utility.now)
        for name, value in query.items():
            app.query_params[name] = value
        return app.run()

    def without_graph(self, off: str) -> None:
        """Let the process run without a graph."""
        run_with(replace(self.utility.services, graph=OpenedGraph(off=off)))


def connect_grid(utility: Utility, start: date, end: date) -> None:
    """Each meter on a transformer of its own, and what went into the two."""
    importer = Importer(utility.services.database, utility.services.settings.timezone)
    grid = "code,name,feeder_code\nT-1,Hill,F-1\nT-2,Dale,F-1"
    meters = "serial,account_no,tariff_code,kind,dials,multiplier,opening_kwh,opened_on,"
    meters += "transformer_code" + "".join(
        f"\nM{n},A-M{n},KSEB-LT1A,manual,5,1,1000,{start},T-{n}" for n in (1, 2)
    )
    supplies = "transformer_code,period_start,period_end,energy_kwh"
    supplies += f"\nT-1,{start},{end},110\nT-2,{start},{end},150"
    for what, text in (("transformers", grid), ("meters", meters), ("supplies", supplies)):
        report = importer.run(what, text, actor="test", now=utility.now)  # type: ignore[arg-type]
        assert report.ok, report


@pytest.fixture(scope="module")
def shown(fresh_database: NewDatabase, page_folder: Path) -> Iterator[Shown]:
    """Two meters used 100 kWh each; 110 went into the first transformer, 150 into the other."""
    utility = make_utility(fresh_database(), page_folder)
    start, end = (utility.today - timedelta(days=days) for days in (31, 1))
    bills = {}
    for serial in ("M1", "M2"):
        utility.add_meter(serial, opened_on=start)
        bill = utility.submit(serial, 1100, at=utility.now - timedelta(days=1)).bill
        assert bill is not None
        bills[serial] = bill
    connect_grid(utility, start, end)
    entry = page_folder / "main.py"
    entry.write_text(ENTRY)
    with embedded_graph() as graph_server:
        graph = Graph(graph_server, timeout_seconds=PATIENT_SECONDS)
        graph.rebuild(utility.services.database)
        utility.services = replace(utility.services, graph=OpenedGraph(graph))
        yield Shown(utility, bills, entry)
    run_with(None)
    utility.services.close()


@pytest.fixture(autouse=True)
def running(shown: Shown) -> None:
    """Pages find the services of their process."""
    run_with(shown.utility.services, Scheduler(shown.utility.services))


def words(app: AppTest) -> str:
    """All that the page says."""
    elements = [*app.markdown, *app.caption, *app.info, *app.success, *app.error, *app.warning]
    return "\n".join(str(element.value) for element in elements)


class TestEnergyLosses:
    def test_the_worst_transformer_comes_first(self, shown: Shown) -> None:
        said = words(shown.page())
        assert said.index("T\\-2") < said.index("T\\-1")
        assert ":red-badge[33.3 % lost]" in said
        assert ":green-badge[9.1 % lost]" in said
        assert "1 transformer" in said

    def test_no_view_has_english_of_its_own_in_arabic(self, shown: Shown) -> None:
        queries: tuple[dict[str, str], ...] = ({}, {"meter": "M1"}, {"bill": shown.bills["M2"].id})
        for query in queries:
            page = shown.page(Role.ADMIN, **query)
            page.session_state["spoken-language"] = ARABIC
            page.run()
            assert not page.exception
            assert english_on(page, data=("Hill", "Dale", "House M")) == []

    def test_many_transformers_are_shown_some_at_a_time(
        self, shown: Shown, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(losses, "PAGE_SIZE", 1)
        page = shown.page()
        assert not page.exception
        said = words(page)
        assert "T\\-2" in said
        assert "T\\-1" not in said
        # The sums are of all of them.
        assert "260 kWh" in said

    @pytest.mark.parametrize(
        ("permille", "text"), [(54, "5.4 %"), (-12, "−1.2 %"), (0, "0.0 %"), (None, "–")]
    )
    def test_a_loss_is_written_in_percent(self, permille: int | None, text: str) -> None:
        assert percent(permille) == text


class TestWhatACorrectionTouches:
    def test_a_reading_touches_the_bill_that_it_closes(self, shown: Shown) -> None:
        bill = shown.bills["M1"]
        page = shown.page(meter="M1", reading=bill.closing_reading_id)
        assert not page.exception
        said = words(page)
        assert "account A\\-M1" in said
        assert "account A\\-M2" not in said
        assert "₹" in said

    def test_a_tariff_version_touches_every_bill_it_priced(self, shown: Shown) -> None:
        page = shown.page()
        page.button_group[0].set_value("What a correction touches").run()
        said = words(page)
        assert "account A\\-M1" in said
        assert "account A\\-M2" in said

    def test_a_bill_has_the_status_that_all_pages_show(self, shown: Shown) -> None:
        bill, services = shown.bills["M2"], shown.utility.services
        paid = {"id": str(uuid4()), "bill_id": bill.id, "amount_minor": 100, "currency": "INR"}
        paid |= {"method": "cash", "received_at": shown.utility.now}
        paid |= {"received_on": shown.utility.today}
        entry = NewPayment.model_validate(paid)
        services.database.record_payments(actor="test", payments=[entry])
        Scheduler(services).follow_bills()
        said = words(shown.page(meter="M2"))
        assert ":violet-badge[Partly paid]" in said
        assert "-badge[Issued]" not in said

    def test_a_meter_without_a_bill_can_be_corrected_freely(self, shown: Shown) -> None:
        shown.utility.add_meter("M3")
        assert "No bill hangs on it" in words(shown.page(meter="M3"))

    def test_a_meter_that_was_taken_out_touches_what_it_measured(self, shown: Shown) -> None:
        utility, graph = shown.utility, shown.utility.services.graph.graph
        assert graph is not None
        on = utility.today - timedelta(days=20)
        utility.add_meter("M5", opened_on=on - timedelta(days=20))
        (meter,) = utility.services.database.find_meters(text="M5")
        assert meter.service_point_id is not None
        supply, change_id = utility.services.supply, str(uuid4())
        point = meter.service_point_id
        change = Exchange(point, on, TypedRead("1040"), "N5", TypedRead("5"))
        how: Any = {"change_id": change_id, "principal": ADMIN, "now": utility.now}
        plan = supply.plan(change, **how)
        supply.execute(change, previewed=plan.fingerprint, reason="stuck", acknowledged=True, **how)
        assert utility.submit("N5", 15).bill is not None
        graph.rebuild(utility.services.database)
        place = supply.place(service_point_id=point, principal=ADMIN)
        removal = place.installations[-1].closing
        assert removal is not None
        for page in (shown.page(meter="M5"), shown.page(meter="M5", reading=removal.id)):
            assert not page.exception
            (chosen,) = [s for s in page.selectbox if s.key == "touched-meter"]
            assert chosen.value is not None
            assert chosen.value.removed_on == on
            said = words(page)
            assert "account A\\-M5" in said

    def test_a_link_to_an_old_reading_shows_that_reading(self, shown: Shown) -> None:
        utility = shown.utility
        utility.add_meter("M6", opened_on=utility.today - timedelta(days=40))
        for days in range(30, 0, -1):
            at = utility.now - timedelta(days=days)
            utility.submit("M6", 1000 + 31 - days, at=at, source="customer")
        first = utility.bills_of("M6")[-1]
        page = shown.page(meter="M6", reading=first.opening_reading_id)
        (asked,) = [s for s in page.selectbox if str(s.key).startswith("touched-reading")]
        assert asked.value is not None
        assert asked.value.id == first.opening_reading_id


class TestAroundABill:
    def test_the_bill_is_drawn_with_what_it_hangs_together_with(self, shown: Shown) -> None:
        bill = shown.bills["M2"]
        page = shown.page(bill=bill.id)
        assert not page.exception
        (drawn,) = page.get("graphviz_chart")
        for name in (bill.reference, "A-M2", "T-2", "F-1", "KSEB-LT1A"):
            assert name in str(drawn.proto.spec)

    def test_the_picture_speaks_the_language_of_the_visit(self, shown: Shown) -> None:
        page = shown.page(bill=shown.bills["M2"].id)
        page.session_state["spoken-language"] = ARABIC
        page.run()
        (drawn,) = page.get("graphviz_chart")
        spec = str(drawn.proto.spec)
        for said in ("فاتورة", "العداد", "العميل", "المغذي", "يغذيه", "تفوتر"):
            assert said in spec
        assert not [word for word in ("Meter", "fed by", "from 2") if word in spec]

    def test_a_bill_that_is_not_in_the_graph_yet_is_said_so(self, shown: Shown) -> None:
        shown.utility.add_meter("M4")
        bill = shown.utility.submit("M4", 1100).bill
        assert bill is not None
        assert "does not have this bill yet" in words(shown.page(bill=bill.id))

    def test_a_caption_cannot_end_its_own_text(self) -> None:
        evil = GraphNode("b1", "Meter", 'M"]; evil [label="\\')
        drawn = dot_of(Neighbourhood([evil], []), "b1")
        assert 'label="Meter\\nM\\"]; evil [label=\\"\\\\"' in drawn


class TestWithoutAGraph:
    def test_the_page_says_why_there_is_none(self, shown: Shown) -> None:
        shown.without_graph("The embedded graph is switched off.")
        assert "The embedded graph is switched off. Billing does not depend on it" in words(
            shown.page()
        )


def test_an_engineer_is_not_let_in(shown: Shown) -> None:
    page = shown.page(Role.ENGINEER)
    assert "this page is for" in words(page)
    assert not page.selectbox
