"""Every text of the office's pages is marked for translation, and what services say to people."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pages.languages.nouns import COUNTED
from services.settings import PROJECT_FOLDER

PAGES = PROJECT_FOLDER / "pages"
# What marks a text; its other values may hold unmarked ones.
MARKS = {"_", "N_", "NN_", "P_", "gettext", "ngettext", "pgettext", "sentence", "nsentence"}
LOG = re.compile(r"(log|logger|logging)\.[a-z]+")
# Two words, or one with a capital: what a person reads, and no key of the program.
TEXT = re.compile(r"(^|[\s*])[A-Z]?[a-z]{2,}[ ,]+[a-z]{2,}|^[A-Z][a-z]{2,}[.:]?$")
# Style sheets, scripts and commands.
FOR_THE_PROGRAM = re.compile(r"[{;]\s*[a-z-]+:|=>|^\.venv/")
# What is counted, which pages/languages/nouns.py marks in its sentences, and an English ordinal.
ALLOWED = {form.removeprefix("{count} ") for forms in COUNTED for form in forms} | {"Xth"}
ROOMS = sorted({str(path.parent.relative_to(PAGES)) for path in PAGES.rglob("*.py")})
SERVICES = PROJECT_FOLDER / "services"
# Rooms whose texts are for programs, for the log or for whoever runs commands, and rooms of which
# some texts are not said in other languages yet. Each other room, a new one too, is looked through.
NOT_LOOKED_THROUGH = {
    *("backups", "bill_documents", "commands", "customer_page", "database", "demo", "graph"),
    *("identity", "importing", "integrations", "jurisdictions", "messages", "operation"),
    *("outbox", "payments", "people", "quantities", "records", "supply", "tariff_publishing"),
    *("tariffs", "telemetry", "utility_settings", "web", "autopay", "health"),
}
SAYING = sorted(
    path.name
    for path in SERVICES.iterdir()
    if path.is_dir() and path.name not in NOT_LOOKED_THROUGH and (path / "__init__.py").exists()
)
# What AI is asked, names of series, notes on lines (services/bill_documents/line_names.py says
# those), and errors that only whoever calls a function wrongly sees.
FOR_PROGRAMS: dict[str, set[str]] = {
    "ai/answers.py": {
        "how sure you are of the verdict, in percent, 0 to 100",
        "at most five short sentences",
        'decimal text such as "1117" or "1117.5", or null',
        "how sure you are of every digit, in percent, 0 to 100",
        'decimal text such as "12.34"',
        'decimal text such as "123.45"',
        "the message, with placeholders in braces",
    },
    "ai/asking.py": {"A question is asked at least once."},
    "ai/messages.py": {
        "a bill is ready",
        "a reminder that a bill will be due soon",
        "a bill is overdue",
        "X, and there is nothing to pay",
        "thanks for a payment",
        "X; the bill is paid",
        "X; a part of the bill is left to pay",
        "bills were wrong, and new ones take their place",
        ", which come to X than before, by the difference",
        "X; there is nothing to pay",
    },
    "ai/openai_model.py": {"no content"},
    "ai/placeholders.py": {
        "the customer's name",
        "the utility's name",
        "the amount with its currency",
        "what is still to be paid, with its currency",
        "the amount that was paid, with its currency",
        "the date of the payment",
        "the bills that no longer hold, by their references",
        "the bills that take their place, by their references",
        "the credit notes that take the old bills back, by their numbers",
        "by how much the new bills come to more or less, with its currency",
        "the energy used, with its unit",
        "the billing period, as two dates",
        "the date by which to pay",
        "the bill's reference, also for paying at the office",
        "the web address for paying",
    },
    "ai/prompt_files.py": {
        "The prompt X cannot be read as UTF-8 text.",
        "The prompt X is empty.",
        "The prompt X names {X}, which is not known.",
    },
    "ai/questions.py": {"English"},
    "billing/explain.py": {"rounded to ([0-9.]+) month"},
    "history/money_words.py": {"came back", "once more"},
    "history/people.py": {"Stripe"},
    "jobs/jobs.py": {"There is no job X; there are X."},
    "jobs/runs.py": {"%s ends: %s, %d done, %d set aside"},
    "metering/expected_use.py": {"last period", "last year", "last year, scaled", "similar meters"},
    "metering/outcomes.py": {
        "A rule doubts it.",
        "It is a first reading.",
        "The meter's past is too short to say what is expected of it.",
        "The use is in the lower quarter of what passes.",
        "The use is in the upper quarter of what passes.",
    },
    "rating/charges.py": {"at most this amount"},
    "rating/demand_charges.py": {
        "X; X% of the highest of X, X X",
        "X; at least X X",
        "above X X for each kW",
    },
    "rating/energy_charges.py": {"limits of the slabs for X"},
    "rating/exact_columns.py": {"These are not whole numbers."},
    "rating/fixed_charges.py": {
        "X of the year",
        "X, a month being 365 ÷ 12 days",
        "a minimum of X less X charged",
    },
    "rating/interval_usage.py": {
        "periods of the calendar X",
        "The series X must hold X whole numbers a meter.",
        "The series X must not be negative.",
        "The periods of bills must be in order, without overlaps.",
        "The series does not have every interval from X to X.",
    },
    "rating/percent_charges.py": {
        "X% of an amount that contains it: × X ÷ X",
        "power factor X, target X",
    },
    "rating/pricing_context.py": {"X of X days that a bill is for"},
    "rating/proration.py": {"X, rounded to X", "X of X days of the bill", "X of X days in X"},
    "rating/rounding.py": {
        "Brought forward from the last bill",
        "Rounding",
        "Carried forward to the next bill",
    },
    "rating/time_axis.py": {
        "X does not say its time zone.",
        "Intervals must have 15, 30 or 60 minutes.",
        "Intervals must begin on a whole quarter of an hour.",
        "An interval lies across the boundary of two X.",
    },
    "rating/usage.py": {
        "A period must end after it starts.",
        "Usage must be in whole numbers of Wh or W; X is not.",
        "A negative X cannot be billed.",
        "The column X must hold whole numbers.",
        "The column X must have X.",
        "The column X must not be negative.",
    },
    "rating/version_split.py": {
        "The parts of a bill must have all its days.",
        "A bill needs at least one part.",
        "The parts of a bill must follow each other and fill its days.",
        "The tariffs of one bill must be in one currency.",
    },
    "readings/green_button_feed.py": {"Energy by X", "Register, before the multiplier"},
    "readings/photos.py": {"The key of a photo must be a UUID."},
    "readings/round.py": {
        "id must be a UUID, made once for the visit.",
        "missed_at must be a date and time with its zone.",
        "Value error, ",
        "There is no field called X in a visit.",
    },
    "readings/submission.py": {
        "must be a text",
        "Say when the meter was read: read_at is a date and time such as 2026-03-01T10:30.",
        "idempotency_key must be a text of 1 to 200 characters.",
        'registers must name what each register shows: {"peak": "123.4"}.',
        "There is no field called X in a reading.",
    },
    "reports/supply_reports.py": {"not read"},
}

# What is wrong with what people write or hand in: each text there is a reason that a page shows.
OF_REASONS = ("tariffs/places.py", "tariffs/model.py", "tariffs/values.py", "tariffs/checks")
OF_FILES = ("importing", "tariff_publishing/drafts.py", "tariff_publishing/json_text.py")
# Of messages, for a command alone, columns as others call them, and a ZIP's README.
NOT_ON_PAGES = (
    "attachments.py",
    "load_file.py",
    "columns.py",
    "workbook_reader.py",
    "full_export/",
)
# What is printed on bills.
PRINTED = {"Reactive power", "Highest demand", "Fuel adjustment", "Energy sold", "Fixed charge"}
PRINTED |= {"Minimum charge", "Minimum charge of the year", "Energy", "Demand", "Energy charge"}
# What is asked of other texts, and a unit of the URDB.
COMPARED = {"unexpected end", "field larger", "kwh daily", "As of X"}
# Rooms whose errors are about what somebody did on a page.
RAISED_FOR_PAGES = (
    *("payments/entry_forms.py", "payments/office_payments.py", "payments/bank_lines.py"),
    *("payments/refunds.py", "payments/reversals.py", "tariff_publishing/publishing.py"),
    *("accounts", "corrections", "dunning", "reports", "supply"),
)
# What a program's mistake raises, or is marked as a table of the database's refusals.
FOR_THE_LOG = {"must be a text", "must be printable", "There is no report X."}


def called(node: ast.AST) -> str:
    """What a call is to, such as `st.caption`; nothing for what is no call."""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def parts_to_read(node: ast.AST) -> list[ast.AST]:
    """The parts of a node in which an unmarked text would be one that a person sees."""
    name = called(node)
    if isinstance(node, ast.Call) and name.rpartition(".")[2] in MARKS:
        return list(node.keywords)
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    # What is compared are keys, and the log is in English.
    if docstring or isinstance(node, ast.Compare) or LOG.fullmatch(name) or is_typing(node):
        return []
    if isinstance(node, ast.FunctionDef):
        return [*node.decorator_list, node.args, *node.body]
    if isinstance(node, ast.AnnAssign):
        return [node.value] if node.value else []
    if isinstance(node, ast.JoinedStr):
        return [part for part in node.values if isinstance(part, ast.FormattedValue)]
    return list(ast.iter_child_nodes(node))


def is_typing(node: ast.AST) -> bool:
    """Whether a node only says of what type something is, or what a module offers."""
    if isinstance(node, ast.Assign):
        return any(isinstance(to, ast.Name) and to.id == "__all__" for to in node.targets)
    literal = isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal"
    return literal or isinstance(node, ast.arg) or called(node) == "TypeVar"


def unmarked(node: ast.AST) -> Iterator[tuple[int, str]]:
    """The line and the text of each text that is not marked."""
    if isinstance(node, ast.JoinedStr):
        parts = (v.value if isinstance(v, ast.Constant) else "X" for v in node.values)
        yield node.lineno, "".join(map(str, parts))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.lineno, node.value
    for part in parts_to_read(node):
        yield from unmarked(part)


def texts_of(path: Path) -> list[str]:
    return [
        f"{path.relative_to(PROJECT_FOLDER)}:{line}: {text!r}"
        for line, text in unmarked(ast.parse(path.read_text(encoding="utf-8")))
        if TEXT.search(text) and not FOR_THE_PROGRAM.search(text) and text not in ALLOWED
    ]


def files_of(*rooms: str) -> list[Path]:
    """The modules of these rooms, and these modules."""
    found = [
        path for room in rooms for path in ([SERVICES / room], (SERVICES / room).rglob("*.py"))
    ]
    files = sorted({path for some in found for path in some if path.is_file()})
    return [f for f in files if not any(name in f.as_posix() for name in NOT_ON_PAGES)]


def reasons_in(path: Path) -> list[str]:
    """The texts of a module that are not marked, those for programs apart."""
    return [
        text
        for text in texts_of(path)
        if " " in (said := ast.literal_eval(text.split(": ", 1)[1]))
        if said not in PRINTED | COMPARED
    ]


def raised_in(path: Path) -> list[str]:
    """The texts that a module raises unmarked."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    raised = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc]
    return [
        f"{path.relative_to(PROJECT_FOLDER)}:{line}: {text!r}"
        for error in raised
        for line, text in unmarked(error)
        if TEXT.search(text) and text not in FOR_THE_LOG
    ]


@pytest.mark.parametrize("path", files_of(*OF_REASONS, *OF_FILES), ids=lambda path: path.stem)
def test_each_reason_is_marked(path: Path) -> None:
    assert reasons_in(path) == [], "docs/languages.md says how to add a text"


@pytest.mark.parametrize("path", files_of(*RAISED_FOR_PAGES), ids=lambda path: path.stem)
def test_each_error_for_a_page_is_marked(path: Path) -> None:
    assert raised_in(path) == [], "raise it with a sentence(…)"


def test_the_check_finds_an_error_that_is_not_marked() -> None:
    path = PROJECT_FOLDER / "services" / "payments" / "entry_forms.py"
    assert files_of("payments/entry_forms.py") == [path]
    tree = ast.parse('raise InvalidEntry(f"{amount} is too much: look again.")')
    (raised,) = (node for node in ast.walk(tree) if isinstance(node, ast.Raise))
    assert raised.exc is not None
    assert [text for _, text in unmarked(raised.exc)] == ["X is too much: look again."]


# Streamlit puts the label of a choice into the address, in the language of the visit.
CHOICES = {"selectbox", "segmented_control", "pills", "radio", "multiselect", "select_slider"}


def translated_in_addresses(source: str) -> Iterator[int]:
    """The lines that would put a translated text into an address."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        if called(node).rpartition(".")[2] in CHOICES and "bind" in keywords:
            yield node.lineno
        query = keywords.get("query_params")
        if query is not None and any(called(n) in ("_", "say") for n in ast.walk(query)):
            yield node.lineno


def test_no_address_holds_a_translated_text() -> None:
    found = {
        str(path.relative_to(PROJECT_FOLDER)): lines
        for path in sorted(PAGES.rglob("*.py"))
        if (lines := list(translated_in_addresses(path.read_text(encoding="utf-8"))))
    }
    assert found == {}, "pages/languages/addresses.py has choices that are in the address"


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('st.selectbox(_("Kind"), names, format_func=_, key="k", bind="query-params")', [1]),
        ('page_link(CUSTOMER, query_params={"view": _("Dunning")})', [1]),
        ('page_link(CUSTOMER, query_params={"view": slug(N_("Dunning"))})', []),
        ('st.text_input(_("Search"), key="q", bind="query-params")', []),
        ('select_text(_("Kind"), names, key="k")', []),
    ],
)
def test_the_check_finds_a_translated_text_in_an_address(source: str, lines: list[int]) -> None:
    assert list(translated_in_addresses(source)) == lines


@pytest.mark.parametrize("room", ROOMS)
def test_each_text_of_a_room_is_marked(room: str) -> None:
    found = [text for path in sorted((PAGES / room).glob("*.py")) for text in texts_of(path)]
    assert found == [], "docs/languages.md says how to add a text"


@pytest.mark.parametrize("room", SAYING)
def test_each_text_of_a_room_of_services_is_marked(room: str) -> None:
    found = [
        (str(path.relative_to(SERVICES)), text)
        for path in sorted((SERVICES / room).rglob("*.py"))
        for _, text in unmarked(ast.parse(path.read_text(encoding="utf-8")))
        if TEXT.search(text) and text not in FOR_PROGRAMS.get(str(path.relative_to(SERVICES)), ())
    ]
    assert found == [], "docs/languages.md says how to add a text"


def test_what_is_let_pass_is_there() -> None:
    for path, texts in FOR_PROGRAMS.items():
        there = {text for _, text in unmarked(ast.parse((SERVICES / path).read_text("utf-8")))}
        assert set(texts) <= there, path
    assert {room for room in NOT_LOOKED_THROUGH if not (SERVICES / room).is_dir()} == set()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('st.caption("Paid on Monday.")', ["Paid on Monday."]),
        ('st.caption(f"Paid on {day}.")', ["Paid on X."]),
        ('st.caption(_("Paid on {day}.", day=f"the {n}th of"))', ["the Xth of"]),
        ('st.button("Pay", key="pay-now")', ["Pay"]),
        ('log.warning("a bill was lost (%s)", bill)', []),
        ('if view == "Timeline": pass', []),
        ('"""What it does."""\nx = "paid"', []),
        ('x = {"paid": "Paid"}', ["Paid"]),
        ('x = {"paid": N_("Paid")}', []),
        ('raise CannotRebill("This bill is void already.")', ["This bill is void already."]),
        ('raise CannotRebill(f"Bill {number} is void already.")', ["Bill X is void already."]),
        ('raise CannotRebill(sentence("This bill is void already."))', []),
        ('Kind = Literal["last period", "last year"]', []),
        ('x: "Bank" = one', []),
    ],
)
def test_the_check_finds_a_text_that_is_not_marked(source: str, expected: list[str]) -> None:
    found = [text for _, text in unmarked(ast.parse(source)) if TEXT.search(text)]
    assert found == expected
