"""What a list is as a file: its columns, and what each row has in them."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Generic, TypeVar

from services.quantities.energy import format_kwh
from services.quantities.money import Money
from services.records.bills import BillSummary, invoice_reference
from services.records.ledger import Account, Payment
from services.records.sessions import User
from services.records.submissions import CollectedMeter, MissedMeter
from services.records.supply import ServicePoint

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Table(Generic[Row]):
    """The columns of a file, each with its value of a row: text, a date, Money or a number."""

    columns: tuple[tuple[str, Callable[[Row], object]], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The header."""
        return tuple(name for name, _ in self.columns)

    def cells(self, row: Row) -> tuple[object, ...]:
        """One row's values."""
        return tuple(value(row) for _, value in self.columns)


BILLS: Final[Table[BillSummary]] = Table(
    (
        ("bill", lambda bill: invoice_reference(bill.number) if bill.number is not None else ""),
        ("status", lambda bill: bill.status),
        ("account_no", lambda bill: bill.account_no),
        ("customer", lambda bill: bill.customer_name),
        ("meter_serial", lambda bill: bill.meter_serial),
        ("tariff", lambda bill: bill.tariff_name),
        ("period_start", lambda bill: bill.period_start),
        ("period_end", lambda bill: bill.period_end),
        ("consumption_kwh", lambda bill: Decimal(format_kwh(bill.consumption_wh))),
        ("total", lambda bill: Money(bill.total_minor, bill.currency)),
        ("paid", lambda bill: Money(bill.amount_paid_minor, bill.currency)),
        ("balance", lambda bill: Money(bill.balance_minor, bill.currency)),
        ("currency", lambda bill: bill.currency),
        ("issued_on", lambda bill: bill.issued_on),
        ("due_date", lambda bill: bill.due_date),
        ("overdue_since", lambda bill: bill.overdue_since),
    )
)
PAYMENTS: Final[Table[Payment]] = Table(
    (
        ("received_on", lambda payment: payment.received_on),
        ("status", lambda payment: payment.status),
        ("account_no", lambda payment: payment.account_no),
        ("customer", lambda payment: payment.customer_name),
        ("method", lambda payment: payment.method),
        ("reference", lambda payment: payment.reference or payment.provider_id),
        (
            "bill",
            lambda payment: (
                invoice_reference(payment.bill_number) if payment.bill_number is not None else ""
            ),
        ),
        ("amount", lambda payment: Money(payment.amount_minor, payment.currency)),
        ("unapplied", lambda payment: Money(payment.open_minor, payment.currency)),
        ("returned", lambda payment: Money(payment.returned_minor, payment.currency)),
        ("currency", lambda payment: payment.currency),
        ("recorded_by", lambda payment: payment.recorded_by),
    )
)
SERVICE_POINTS: Final[Table[ServicePoint]] = Table(
    (
        ("code", lambda point: point.code),
        ("address", lambda point: point.address),
        ("route", lambda point: point.route),
        ("sequence", lambda point: point.sequence),
        ("meter_serial", lambda point: point.meter_serial),
        ("installed_on", lambda point: point.installed_on),
        ("last_read_on", lambda point: point.last_read_on),
        ("account_no", lambda point: point.account_no),
        ("customer", lambda point: point.customer_name),
        ("supplied_since", lambda point: point.starts_on),
        ("transformer_code", lambda point: point.transformer_code),
        ("access_note", lambda point: point.access_note),
    )
)


MISSED: Final[Table[MissedMeter]] = Table(
    (
        ("meter_serial", lambda missed: missed.meter_serial),
        ("code", lambda missed: missed.code),
        ("address", lambda missed: missed.address),
        ("route", lambda missed: missed.route),
        ("customer", lambda missed: missed.customer_name),
        ("visited_on", lambda missed: missed.missed_on),
        ("reason", lambda missed: missed.reason),
        ("note", lambda missed: missed.note),
        ("visited_by", lambda missed: missed.submitted_by),
        ("days_in_a_row", lambda missed: Decimal(missed.times)),
        ("not_read_since", lambda missed: missed.first_on),
        ("last_read_on", lambda missed: missed.last_read_on),
        ("asked_again_because", lambda missed: missed.asked_because),
    )
)


SMART: Final[Table[CollectedMeter]] = Table(
    (
        ("meter_serial", lambda one: one.meter_serial),
        ("code", lambda one: one.code),
        ("address", lambda one: one.address),
        ("customer", lambda one: one.customer_name),
        ("asked_at", lambda one: one.tried_at),
        ("tries", lambda one: Decimal(one.tries)),
        ("outcome", lambda one: one.outcome),
        ("reason", lambda one: one.reason),
        ("collected_at", lambda one: one.collected_at),
        ("asked_again_at", lambda one: one.next_try_at),
        ("on_the_round_since", lambda one: one.round_at),
    )
)


USERS: Final[Table[User]] = Table(
    (
        ("sign_in_name", lambda user: user.sign_in_name),
        ("name", lambda user: user.display_name),
        ("roles", lambda user: " ".join(user.roles)),
        ("state", lambda user: user.state),
        ("last_active_at", lambda user: user.last_active_at),
        ("code_since", lambda user: user.totp_on_at),
        ("created_at", lambda user: user.created_at),
    )
)


def accounts_in(currency: str) -> Table[Account]:
    """The columns of customers; `currency` is of those that have no bill yet."""

    def money(account: Account, minor: int) -> Money:
        return Money(minor, account.currency or currency)

    return Table(
        (
            ("account_no", lambda account: account.account_no),
            ("customer", lambda account: account.name),
            ("address", lambda account: account.address),
            ("phone", lambda account: account.phone),
            ("email", lambda account: account.email),
            ("balance", lambda account: money(account, account.balance_minor)),
            ("overdue", lambda account: money(account, account.overdue_minor)),
            ("deposit", lambda account: money(account, account.deposit_minor)),
            ("currency", lambda account: account.currency or currency),
            ("open_bills", lambda account: account.open_bills),
        )
    )
