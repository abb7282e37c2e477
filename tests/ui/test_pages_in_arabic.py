"""The pages of money and of running the office in Arabic: nothing of their own is in English."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import pytest
from streamlit.testing.v1 import AppTest

from pages import registry
from pages.registry import PageEntry
from pages.reports.columns import LABELS
from scheduler import Scheduler
from services.bootstrap import run_with
from services.identity.permissions import Role
from services.languages.catalogues import OFFERED
from services.languages.language import Language
from services.records.entries import NewPayment
from services.reports.catalogue import REPORTS
from services.reports.definitions import Asked
from tests.integration.utility import ADMIN, Utility, make_utility
from tests.ui.page_runs import signed_in, user_of, words
from tests.ui.untranslated import english_on, reads_arabic

pytestmark = pytest.mark.postgres

ARABIC = Language.of("ar")
# Names of customers and tariffs, as people typed them.
DATA = ("House M0", "House M1", "House M2", "Flat rate", "Main Street")
VIEWS: tuple[tuple[PageEntry, str], ...] = (
    (registry.BILL_RUNS, "Next run"),
    (registry.BILL_RUNS, "Last run"),
    (registry.BILL_RUNS, "Billing days"),
    (registry.APPROVALS, "Waiting"),
    (registry.APPROVALS, "Decided"),
    (registry.BANK_LINES, "To decide"),
    (registry.BANK_LINES, "Matched"),
    (registry.AUTOPAY, "Next"),
    (registry.AUTOPAY, "Over"),
    (registry.AUTOPAY, "Policy"),
)
ALONE = (
    registry.BOOKS,
    registry.RECONCILIATION,
    registry.STRIPE_EVENTS,
    registry.SEARCH,
    registry.NETWORK,
    registry.REPORTS,
    registry.CASH_DAY,
    registry.JOBS,
    registry.SERVICES,
    registry.NOTIFICATIONS,
    registry.LETTERS,
    registry.SECURITY_LOG,
    registry.SIGN_INS,
    registry.API_KEYS,
    registry.INVITE_USER,
    registry.PERMISSIONS,
    registry.IMPORTS,
    registry.EXPORT,
)
# What each shows is named in its address.
OF_ONE = (
    *(registry.BILL, registry.CUSTOMER, registry.METER, registry.PAYMENT, registry.TARIFF),
    *(registry.SERVICE_POINT, registry.USER, registry.FLAGGED_READING, registry.CORRECT_BILL),
    *(registry.CORRECT_READING, registry.CHANGE_SUPPLY, registry.TARIFF_CORRECTION),
)


@pytest.fixture(scope="module")
def utility(
    own_settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Utility]:
    """Three bills of 5 October 2025, each paid a little in cash."""
    made = make_utility(own_settings["DATABASE_URL"], tmp_path_factory.mktemp("data"))
    run_with(made.services, Scheduler(made.services))
    made.now = datetime(2025, 10, 5, 6, tzinfo=UTC)
    for n in range(3):
        made.add_meter(f"M{n}")
        bill = made.submit(f"M{n}", 1117).bill
        assert bill is not None
        row: dict[str, Any] = {"id": str(uuid4()), "bill_id": bill.id, "amount_minor": 100}
        row |= {"currency": "INR", "method": "cash", "received_at": made.now}
        row |= {"received_on": made.today}
        made.services.database.record_payments(
            actor=user_of(Role.ADMIN), payments=[NewPayment.model_validate(row)]
        )
    made.now = datetime.now(UTC)
    reads_arabic(made.services, user_of(Role.ADMIN))
    yield made
    run_with(None)
    made.services.close()


def report_of_october(utility: Utility, report_id: str) -> AppTest:
    app = signed_in(utility.services, Role.ADMIN)
    app.query_params["id"], app.query_params["days"] = report_id, ["2025-10-01", "2025-10-31"]
    app.query_params["on"] = "2025-10-31"
    return app.switch_page(registry.REPORT.script).run()


def kept_apart(text: str) -> str:
    """A text without the signs that keep its direction."""
    return text.removeprefix("\u2068").removesuffix("\u2069")


@pytest.mark.parametrize("page", ALONE, ids=[page.path for page in ALONE])
def test_a_page_has_no_english(utility: Utility, page: PageEntry) -> None:
    app = signed_in(utility.services, Role.ADMIN, page.script, find="House")
    assert not app.exception
    assert [kept_apart(title.value) for title in app.title] == [ARABIC.gettext(page.title)]
    assert english_on(app, data=DATA) == []


@pytest.mark.parametrize("page", OF_ONE, ids=[page.path for page in OF_ONE])
@pytest.mark.parametrize("address", ["", "7", str(uuid4())], ids=["none", "no id", "of nothing"])
def test_what_is_not_there_is_said_and_stored_nowhere(
    utility: Utility, page: PageEntry, address: str
) -> None:
    app = signed_in(utility.services, Role.ADMIN, page.script, id=address)
    assert not app.exception
    assert not app.error
    assert app.warning
    assert english_on(app, data=DATA) == []


@pytest.mark.parametrize(("page", "view"), VIEWS, ids=[f"{p.path}-{v}" for p, v in VIEWS])
def test_each_view_of_a_page_has_no_english(utility: Utility, page: PageEntry, view: str) -> None:
    app = signed_in(utility.services, Role.ADMIN, page.script, view=ARABIC.gettext(view))
    assert not app.exception
    assert app.segmented_control[0].value == view
    assert english_on(app, data=DATA) == []


def test_a_refusal_of_the_database_is_said_too(utility: Utility) -> None:
    app = signed_in(utility.services, Role.ADMIN, registry.CUSTOMER.script, id=str(uuid4()))
    assert not app.exception
    assert ARABIC.gettext("No such customer.") in words(app)
    assert english_on(app, data=DATA) == []


def test_what_is_wrong_with_a_file_is_said_row_by_row() -> None:
    app = AppTest.from_function(wrong_file, default_timeout=30).run()
    assert not app.exception
    (table,) = app.table
    cells = (str(cell).replace("\\", "") for cell in table.value.to_numpy().ravel())
    said = [kept_apart(cell) for cell in cells]
    assert ARABIC.gettext("is empty: fill it in.") in said
    assert any("M-1" in cell and "2" in cell for cell in said)
    assert [cell for cell in said if re.search(r"[A-Za-z]{3,} [a-z]{2,}", cell)] == []


def wrong_file() -> None:
    """A report of meters, alone on a page in Arabic; Streamlit runs the source alone."""
    from datetime import UTC, datetime  # noqa: PLC0415
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    from pages.imports.import_report import show_report  # noqa: PLC0415
    from pages.languages.words import speak  # noqa: PLC0415
    from services.importing.file_imports import FileLook  # noqa: PLC0415
    from services.importing.report import ImportReport  # noqa: PLC0415
    from services.importing.rows import METER_COLUMNS, meter_row  # noqa: PLC0415
    from services.importing.table import read_table  # noqa: PLC0415
    from services.importing.table_imports import name_duplicates  # noqa: PLC0415
    from services.languages.language import Language  # noqa: PLC0415
    from tests.integration.utility import ADMIN  # noqa: PLC0415

    speak(Language.of("ar"))
    file = (
        f"{','.join(METER_COLUMNS)}\n"
        "M-1,,F,solar,x,-1,12.34567,2026-13-01\n"
        "M-1,A-1,F,smart,5,1,999999,01/02/2026\n"
        "..,A-1,,smart,5,1,1,2999-01-01\n"
    )
    table = read_table(file, required=METER_COLUMNS)
    at = datetime(2026, 3, 1, tzinfo=UTC)
    rows = [meter_row(cells, zone=ZoneInfo("Asia/Kolkata"), now=at) for cells in table.rows()]
    name_duplicates(rows, "serial", table.problems)
    report = ImportReport(errors=tuple(table.problems))
    show_report(report, FileLook((), (), (), ()), ADMIN)


@pytest.mark.parametrize("one", REPORTS, ids=[report.id for report in REPORTS])
def test_a_report_has_no_english(utility: Utility, one: Any) -> None:
    app = report_of_october(utility, one.id)
    assert not app.exception
    assert english_on(app, data=DATA) == []
    for frame in app.dataframe:
        assert not [name for name in frame.value.columns if name.isascii() and name != "kWh"]


def test_cells_of_a_report_are_said_and_its_file_stays_in_english(utility: Utility) -> None:
    app = report_of_october(utility, "register")
    (frame,) = app.dataframe
    assert set(frame.value["النوع"]) == {"فاتورة"}
    reports = utility.services.reports
    asked = Asked(date(2025, 10, 1), date(2025, 11, 1))
    file = b"".join(reports.csv(reports.report("register"), asked, principal=ADMIN))
    header, *rows = file.decode("utf-8-sig").splitlines()
    assert header.startswith("date,bill,type,")
    assert {row.split(",")[2] for row in rows} == {"bill"}


@pytest.mark.parametrize("tag", OFFERED)
def test_each_column_of_a_report_has_a_name_of_its_own(tag: str) -> None:
    language = Language.of(tag)
    for report in REPORTS:
        shown = [column.name for column in report.columns if not column.only_in_files]
        names = [language.pgettext("report", LABELS[name]) for name in shown]
        assert len(set(names)) == len(shown), report.id
