"""Roles, permissions, and the one table of which role may do what."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final

from services.languages.sentence import N_


class Role(StrEnum):
    """What somebody is in the office; a person may hold several."""

    ENGINEER = "engineer"
    CASHIER = "cashier"
    CLERK = "clerk"
    MANAGER = "manager"
    AUDITOR = "auditor"
    ADMIN = "admin"


class Permission(StrEnum):
    """One thing that somebody may do: a subject and a verb."""

    SUBMIT_READINGS = "readings.submit"
    VIEW_READINGS = "readings.view"
    DECIDE_READINGS = "readings.decide"
    VIEW_CUSTOMERS = "customers.view"
    CHANGE_CUSTOMERS = "customers.change"
    CHANGE_SUPPLY = "supply.change"
    ARRANGE_ACCOUNTS = "accounts.arrange"
    ADJUST_ACCOUNTS = "accounts.adjust"
    VIEW_BILLS = "bills.view"
    PREPARE_BILLS = "bills.prepare"
    APPROVE_BILLS = "bills.approve"
    VOID_BILLS = "bills.void"
    VIEW_PAYMENTS = "payments.view"
    RECORD_PAYMENTS = "payments.record"
    REVERSE_PAYMENTS = "payments.reverse"
    REFUND_PAYMENTS = "payments.refund"
    REFUND_OVER_LIMIT = "payments.refund_over_limit"
    SEND_MESSAGES = "messages.send"
    VIEW_DUNNING = "dunning.view"
    HOLD_DUNNING = "dunning.hold"
    CHANGE_DUNNING = "dunning.change"
    VIEW_TARIFFS = "tariffs.view"
    PUBLISH_TARIFFS = "tariffs.publish"
    VIEW_BOOKS = "books.view"
    CLOSE_BOOKS = "books.close"
    VIEW_SYSTEM = "system.view"
    RUN_JOBS = "jobs.run"
    CHANGE_SETTINGS = "settings.change"
    IMPORT_FILES = "files.import"
    EXPORT_FILES = "files.export"
    VIEW_SECURITY = "security.view"
    MANAGE_USERS = "users.manage"
    MANAGE_KEYS = "keys.manage"


_P: Final = Permission
_COUNTER: Final = frozenset(
    {
        _P.VIEW_CUSTOMERS,
        _P.VIEW_BILLS,
        _P.VIEW_PAYMENTS,
        _P.VIEW_DUNNING,
        _P.SEND_MESSAGES,
        _P.ARRANGE_ACCOUNTS,
    }
)
_ALL_VIEWS: Final = frozenset(
    {
        _P.VIEW_READINGS,
        _P.VIEW_CUSTOMERS,
        _P.VIEW_BILLS,
        _P.VIEW_PAYMENTS,
        _P.VIEW_DUNNING,
        _P.VIEW_TARIFFS,
        _P.VIEW_BOOKS,
        _P.VIEW_SYSTEM,
        _P.VIEW_SECURITY,
    }
)
_CLERK: Final = _COUNTER | {
    _P.SUBMIT_READINGS,
    _P.VIEW_READINGS,
    _P.DECIDE_READINGS,
    _P.CHANGE_CUSTOMERS,
    _P.CHANGE_SUPPLY,
    _P.PREPARE_BILLS,
    _P.HOLD_DUNNING,
    _P.VIEW_TARIFFS,
}
_CASHIER: Final = _COUNTER | {_P.RECORD_PAYMENTS, _P.REFUND_PAYMENTS}

# Who may do what. Administrators may do everything; auditors see all and change nothing.
PERMISSIONS_OF: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.ENGINEER: frozenset({_P.SUBMIT_READINGS}),
    Role.CASHIER: _CASHIER,
    Role.CLERK: _CLERK,
    Role.MANAGER: _CASHIER
    | _CLERK
    | {
        _P.ADJUST_ACCOUNTS,
        _P.CHANGE_DUNNING,
        _P.APPROVE_BILLS,
        _P.VOID_BILLS,
        _P.REVERSE_PAYMENTS,
        _P.REFUND_OVER_LIMIT,
        _P.PUBLISH_TARIFFS,
        _P.VIEW_BOOKS,
        _P.CLOSE_BOOKS,
        _P.VIEW_SYSTEM,
        _P.RUN_JOBS,
    },
    Role.AUDITOR: _ALL_VIEWS,
    Role.ADMIN: frozenset(Permission),
}

# What people read; the values of Role are what tokens and keys hold.
ROLE_NAMES: Final[Mapping[Role, str]] = {
    Role.ENGINEER: N_("Field engineer"),
    Role.CASHIER: N_("Cashier"),
    Role.CLERK: N_("Billing clerk"),
    Role.MANAGER: N_("Manager"),
    Role.AUDITOR: N_("Auditor"),
    Role.ADMIN: N_("Administrator"),
}

# What people read of each permission, by subject.
PERMISSION_WORDS: Final[Mapping[str, Mapping[Permission, str]]] = {
    N_("Readings"): {
        _P.SUBMIT_READINGS: N_("Submit readings, walk the round, see one's own"),
        _P.VIEW_READINGS: N_("See all readings, exceptions, photos and the network"),
        _P.DECIDE_READINGS: N_("Decide on exceptions; correct, estimate, bill, ask again"),
    },
    N_("Customers"): {
        _P.VIEW_CUSTOMERS: N_("See customers, service points, meters and messages; search"),
        _P.CHANGE_CUSTOMERS: N_("Change contact details, write notes"),
        _P.CHANGE_SUPPLY: N_("Connect, move, exchange meters, disconnect"),
        _P.ARRANGE_ACCOUNTS: N_("Agree on instalments, say which bill open money pays"),
        _P.ADJUST_ACCOUNTS: N_("Give credits, write off, charge fees"),
        _P.SEND_MESSAGES: N_("Send messages again, choose one statement for all bills"),
    },
    N_("Bills"): {
        _P.VIEW_BILLS: N_("See bills, drafts and bill runs"),
        _P.PREPARE_BILLS: N_("Send drafts back, set billing days"),
        _P.APPROVE_BILLS: N_("Issue drafts"),
        _P.VOID_BILLS: N_("Void and correct issued bills"),
    },
    N_("Payments"): {
        _P.VIEW_PAYMENTS: N_("See payments, bank lines and the reconciliation"),
        _P.RECORD_PAYMENTS: N_("Record payments, import bank statements, reconcile"),
        _P.REVERSE_PAYMENTS: N_("Reverse payments"),
        _P.REFUND_PAYMENTS: N_("Refund payments, pay credit out"),
        _P.REFUND_OVER_LIMIT: N_("The same above the limit of the settings"),
    },
    N_("Dunning"): {
        _P.VIEW_DUNNING: N_("See the dunning policy, tonight's messages, what was sent"),
        _P.HOLD_DUNNING: N_("Hold the dunning of an account, release it; note handed-over notices"),
        _P.CHANGE_DUNNING: N_("Change the dunning policy"),
    },
    N_("Tariffs and books"): {
        _P.VIEW_TARIFFS: N_("See tariffs"),
        _P.PUBLISH_TARIFFS: N_("Write and publish tariffs"),
        _P.VIEW_BOOKS: N_("See the month's books"),
        _P.CLOSE_BOOKS: N_("Close a month"),
    },
    N_("System"): {
        _P.VIEW_SYSTEM: N_("See settings, jobs and services"),
        _P.RUN_JOBS: N_("Run jobs, test services"),
        _P.CHANGE_SETTINGS: N_("Change settings"),
        _P.IMPORT_FILES: N_("Import files of every kind"),
        _P.EXPORT_FILES: N_("Export everything"),
        _P.VIEW_SECURITY: N_("See users, sign-ins, keys and the security log"),
        _P.MANAGE_USERS: N_("End sign-ins, manage users"),
        _P.MANAGE_KEYS: N_("Make and revoke API keys"),
    },
}


def roles_with(*permissions: Permission) -> tuple[Role, ...]:
    """The roles that may do at least one of these, in the order of the table."""
    return tuple(role for role in Role if not PERMISSIONS_OF[role].isdisjoint(permissions))


def in_order(roles: Collection[Role]) -> tuple[Role, ...]:
    """Roles in the order of the table."""
    return tuple(role for role in Role if role in roles)
