"""The reports that there are, in the order in which they are listed."""

from typing import Final

from services.accounts.month_end import AGED_COLUMNS, ENTRY_COLUMNS
from services.languages.sentence import N_
from services.reports.definitions import (
    CURRENCY,
    Chart,
    Column,
    Report,
    day,
    money,
    number,
)

_ACCOUNT: Final = (Column("account_no"), Column("customer"))

REGISTER: Final = Report(
    id="register",
    title=N_("Billing register"),
    answers=N_("Which bills were issued, and which voided? A void counts below 0 on its own date."),
    asks="span",
    columns=(
        day("date"),
        Column("bill"),
        Column("type"),
        *_ACCOUNT,
        Column("tariff"),
        day("period_start"),
        day("period_end"),
        Column("kwh", "kwh"),
        money("net"),
        money("tax"),
        money("total"),
        CURRENCY,
        day("due_date"),
        Column("note"),
        Column("credit_note"),
        Column("posting_no", "number", only_in_files=True),
    ),
    walked=True,
)
REVENUE: Final = Report(
    id="revenue",
    title=N_("Revenue by tariff and month"),
    answers=N_("How much was billed of each tariff in each month, less what was voided?"),
    asks="span",
    span="year",
    columns=(
        Column("month"),
        Column("tariff"),
        Column("name"),
        number("issued"),
        number("voided"),
        Column("kwh", "kwh"),
        money("net"),
        money("tax"),
        money("total"),
        CURRENCY,
    ),
    chart=Chart(by="month", amount="net", stacked="tariff"),
)
COLLECTIONS: Final = Report(
    id="collections",
    title=N_("Collections by method and cashier"),
    answers=N_("What was taken and given back, by whom, and how?"),
    asks="span",
    columns=(
        Column("method"),
        Column("cashier", "person"),
        number("payments"),
        money("received"),
        money("returned"),
        money("net"),
        money("of_that_deposits"),
        CURRENCY,
    ),
    chart=Chart(by="cashier", amount="net", stacked="method"),
)
AGED_DEBT: Final = Report(
    id="aged-debt",
    title=N_("Aged debt"),
    answers=N_("Who owes how much, since when, and how long past due?"),
    asks="as_of",
    columns=(
        *_ACCOUNT,
        Column("phone", only_in_files=True),
        money("not_due"),
        money("days_1_30"),
        money("days_31_60"),
        money("days_61_90"),
        money("days_over_90"),
        money("unapplied_credit"),
        money("balance"),
        CURRENCY,
        day("past_due_since"),
        number("days_past_due"),
    ),
    walked=True,
)
TAX: Final = Report(
    id="tax",
    title=N_("Tax by rate"),
    answers=N_("How much tax was billed at which rate, of what, less what was voided?"),
    asks="span",
    columns=(
        Column("code"),
        Column("tax"),
        Column("rate"),
        Column("of_unit"),
        number("base"),
        money("amount"),
        CURRENCY,
        Column("account"),
    ),
    chart=Chart(by="tax", amount="amount"),
)
DEPOSITS: Final = Report(
    id="deposits",
    title=N_("Deposits held"),
    answers=N_("Whose deposits are held, how much, and since when?"),
    asks="as_of",
    columns=(*_ACCOUNT, money("held"), CURRENCY, day("first_taken_on")),
    walked=True,
)
WRITE_OFFS: Final = Report(
    id="write-offs",
    title=N_("Write-offs and credits"),
    answers=N_("What was credited or written off, why, and by whom?"),
    asks="span",
    columns=(
        day("date"),
        *_ACCOUNT,
        Column("type"),
        money("amount"),
        CURRENCY,
        Column("reason"),
        Column("entered_by", "person"),
        Column("posting_no", "number", only_in_files=True),
    ),
    walked=True,
)
JOURNAL: Final = Report(
    id="journal",
    title=N_("Journal"),
    answers=N_("Double entry for accounting: the lines of each document, which balance."),
    asks="span",
    columns=(
        day("date"),
        Column("document"),
        Column("account"),
        Column("account_name"),
        money("debit"),
        money("credit"),
        CURRENCY,
        Column("text"),
        Column("account_no"),
        Column("entered_by", "person", only_in_files=True),
        Column("entered_at", only_in_files=True),
        Column("posting_no", "number", only_in_files=True),
    ),
    walked=True,
)
JOURNAL_BY_DAY: Final = Report(
    id="journal-by-day",
    title=N_("Journal by day and account"),
    answers=N_("The same added up: what each account was debited and credited on each day."),
    asks="span",
    columns=(
        day("date"),
        Column("account"),
        Column("account_name"),
        money("debit"),
        money("credit"),
        CURRENCY,
    ),
)
READS: Final = Report(
    id="reads",
    title=N_("Missing and estimated reads"),
    answers=N_("Which reads were estimated, and which meters could not be read, and why?"),
    asks="span",
    columns=(
        day("date"),
        Column("type"),
        Column("meter_serial"),
        Column("place"),
        Column("address"),
        Column("register_kwh", "kwh"),
        Column("reason"),
        Column("entered_by", "person"),
    ),
    walked=True,
)
UNBILLED: Final = Report(
    id="unbilled",
    title=N_("Unbilled and vacant use"),
    answers=N_("What was used where nobody had an agreement, so that nobody was billed?"),
    asks="span",
    columns=(
        Column("place"),
        Column("address"),
        Column("meter_serial"),
        day("vacant_since"),
        day("vacant_until"),
        Column("kwh", "kwh"),
    ),
    walked=True,
)
LOSSES: Final = Report(
    id="losses",
    title=N_("Losses"),
    answers=N_(
        "How much of what went into each transformer, and of what places behind it exported, was "
        "billed?"
    ),
    asks="span",
    columns=(
        Column("transformer"),
        Column("name"),
        Column("feeder"),
        day("from"),
        day("until"),
        Column("supplied_kwh", "kwh"),
        Column("exported_kwh", "kwh"),
        Column("billed_kwh", "kwh"),
        Column("loss_kwh", "kwh"),
        number("loss_percent"),
    ),
)
YEAR: Final = Report(
    id="year",
    title=N_("Regulator's year"),
    answers=N_("Customers, energy, losses, revenue, collections and service over some months."),
    asks="span",
    span="year",
    columns=(Column("figure"), Column("tariff"), number("value"), Column("unit")),
)
REPORTS: Final = (
    REGISTER,
    REVENUE,
    COLLECTIONS,
    AGED_DEBT,
    TAX,
    DEPOSITS,
    WRITE_OFFS,
    JOURNAL,
    JOURNAL_BY_DAY,
    UNBILLED,
    READS,
    LOSSES,
    YEAR,
)
BY_ID: Final = {report.id: report for report in REPORTS}
# What the month's books offer as files beside them: of a month from its 1st on.
LEDGER: Final = Report(
    id="ledger",
    title=N_("Ledger entries"),
    answers=N_("Which entries have customers' accounts, with the balance after each?"),
    asks="span",
    columns=tuple(map(Column, ENTRY_COLUMNS)),
    walked=True,
)
RECEIVABLES: Final = Report(
    id="receivables",
    title=N_("Receivables"),
    answers=N_("What had each customer open when the month ended?"),
    asks="span",
    columns=tuple(map(Column, AGED_COLUMNS)),
    walked=True,
)
FILES_BY_ID: Final = BY_ID | {report.id: report for report in (LEDGER, RECEIVABLES)}
