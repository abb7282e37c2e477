"""The lists of the office: bills, customers and payments, page by page and as files."""

import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice
from typing import Final, Literal, TypeVar

from services.bill_documents.archive import BillArchive
from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.lists.tables import (
    BILLS,
    MISSED,
    PAYMENTS,
    SERVICE_POINTS,
    SMART,
    USERS,
    Table,
    accounts_in,
)
from services.quantities.spreadsheet import csv_file, xlsx_file
from services.records.base import KeyPage, PageRequest
from services.records.bills import BillSummary
from services.records.ledger import Account, Payment
from services.records.lists import (
    AccountFilter,
    BillFilter,
    CollectedFilter,
    MissedFilter,
    PaymentFilter,
    PointFilter,
)
from services.records.sessions import User, UserFilter
from services.records.submissions import CollectedMeter, MissedMeter
from services.records.supply import ServicePoint

FileKind = Literal["csv", "xlsx"]
Row = TypeVar("Row")

# A file that people open, and a request that the page waits for.
ROWS_IN_A_FILE: Final = 100_000
# Each bill that was never printed takes a third of a second.
PDFS_AT_ONCE: Final = 100
_WRITERS: Final = {"csv": csv_file, "xlsx": xlsx_file}
_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class OfficeLists:
    """Lists for administrators. Each method raises NotAllowed for anybody else, and DatabaseError.

    A file has the rows of a filter in the order asked for, the first 100,000 of them; amounts are
    numbers beside their currency.
    """

    database: DatabaseService
    archive: BillArchive
    currency: Callable[[], str]

    def bills(
        self, *, wanted: BillFilter, page: PageRequest, principal: Principal
    ) -> KeyPage[BillSummary]:
        """A page of the bills; `page.sort` is a BillSort."""
        require(principal, Permission.VIEW_BILLS)
        return self.database.list_bills(wanted=wanted, page=page)

    def customers(
        self, *, wanted: AccountFilter, page: PageRequest, principal: Principal
    ) -> KeyPage[Account]:
        """A page of the customers; `page.sort` is an AccountSort."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.database.list_accounts(wanted=wanted, page=page)

    def payments(
        self, *, wanted: PaymentFilter, page: PageRequest, principal: Principal
    ) -> KeyPage[Payment]:
        """A page of the payments; `page.sort` is a PaymentSort."""
        require(principal, Permission.VIEW_PAYMENTS)
        return self.database.list_payments(wanted=wanted, page=page)

    def service_points(
        self, *, wanted: PointFilter, page: PageRequest, principal: Principal
    ) -> KeyPage[ServicePoint]:
        """A page of the service points; `page.sort` is a PointSort."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.database.list_service_points(wanted=wanted, page=page)

    def users(
        self, *, wanted: UserFilter, page: PageRequest, principal: Principal
    ) -> KeyPage[User]:
        """A page of the users; `page.sort` is a UserSort."""
        require(principal, Permission.VIEW_SECURITY)
        return self.database.list_users(wanted=wanted, page=page)

    def users_file(
        self, *, wanted: UserFilter, page: PageRequest, kind: FileKind, principal: Principal
    ) -> bytes:
        """The users of a filter as a file, in the order of `page`."""
        require(principal, Permission.VIEW_SECURITY)
        return _file(USERS, lambda at: self.database.list_users(wanted=wanted, page=at), page, kind)

    def service_points_file(
        self, *, wanted: PointFilter, page: PageRequest, kind: FileKind, principal: Principal
    ) -> bytes:
        """The service points of a filter as a file, in the order of `page`."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return _file(
            SERVICE_POINTS,
            lambda at: self.database.list_service_points(wanted=wanted, page=at),
            page,
            kind,
        )

    def missed_reads(
        self, *, wanted: MissedFilter, page: PageRequest, principal: Principal
    ) -> KeyPage[MissedMeter]:
        """A page of the meters that could not be read; `page.sort` is a MissedSort."""
        require(principal, Permission.VIEW_READINGS)
        return self.database.list_missed_reads(wanted=wanted, page=page)

    def missed_reads_file(
        self, *, wanted: MissedFilter, page: PageRequest, kind: FileKind, principal: Principal
    ) -> bytes:
        """The meters of a filter that could not be read as a file, in the order of `page`."""
        require(principal, Permission.VIEW_READINGS)
        return _file(
            MISSED,
            lambda at: self.database.list_missed_reads(wanted=wanted, page=at),
            page,
            kind,
        )

    def smart_meters(
        self, *, wanted: CollectedFilter, page: PageRequest, principal: Principal
    ) -> KeyPage[CollectedMeter]:
        """A page of the smart meters that were asked for; `page.sort` is a CollectedSort."""
        require(principal, Permission.VIEW_READINGS)
        return self.database.list_meter_collections(wanted=wanted, page=page)

    def smart_meters_file(
        self, *, wanted: CollectedFilter, page: PageRequest, kind: FileKind, principal: Principal
    ) -> bytes:
        """The smart meters of a filter as a file, in the order of `page`."""
        require(principal, Permission.VIEW_READINGS)
        return _file(
            SMART,
            lambda at: self.database.list_meter_collections(wanted=wanted, page=at),
            page,
            kind,
        )

    def overdue_as_of(self, *, principal: Principal) -> date | None:
        """The day that the marks of overdue bills are as of; None before the first."""
        require(principal, Permission.VIEW_BILLS)
        return self.database.overdue_as_of()

    def bills_file(
        self, *, wanted: BillFilter, page: PageRequest, kind: FileKind, principal: Principal
    ) -> bytes:
        """The bills of a filter as a file, in the order of `page`."""
        require(principal, Permission.VIEW_BILLS)
        return _file(BILLS, lambda at: self.database.list_bills(wanted=wanted, page=at), page, kind)

    def customers_file(
        self, *, wanted: AccountFilter, page: PageRequest, kind: FileKind, principal: Principal
    ) -> bytes:
        """The customers of a filter as a file, in the order of `page`."""
        require(principal, Permission.VIEW_CUSTOMERS)
        table = accounts_in(self.currency())
        return _file(
            table, lambda at: self.database.list_accounts(wanted=wanted, page=at), page, kind
        )

    def payments_file(
        self, *, wanted: PaymentFilter, page: PageRequest, kind: FileKind, principal: Principal
    ) -> bytes:
        """The payments of a filter as a file, in the order of `page`."""
        require(principal, Permission.VIEW_PAYMENTS)
        return _file(
            PAYMENTS, lambda at: self.database.list_payments(wanted=wanted, page=at), page, kind
        )

    def bill_pdfs(self, *, bills: Sequence[BillSummary], principal: Principal) -> bytes:
        """The PDFs of issued bills, 100 at most, in one ZIP file; drafts have none.

        Raises MissingLetters and ArchiveDamaged as BillArchive.pdf does.
        """
        require(principal, Permission.VIEW_BILLS)
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
            for bill in bills[:PDFS_AT_ONCE]:
                if bill.number is not None:
                    packed.writestr(f"{bill.reference}.pdf", self.archive.pdf(bill.id).pdf)
        return out.getvalue()


def _file(
    table: Table[Row],
    fetch: Callable[[PageRequest], KeyPage[Row]],
    page: PageRequest,
    kind: FileKind,
) -> bytes:
    rows = islice(_rows(fetch, page), ROWS_IN_A_FILE)
    return _WRITERS[kind](table.names, map(table.cells, rows))


def _rows(fetch: Callable[[PageRequest], KeyPage[Row]], page: PageRequest) -> Iterator[Row]:
    at = replace(page, after=None, backwards=False, limit=_AT_ONCE, counted_to=0)
    while True:
        found = fetch(at)
        yield from found.items
        if not found.has_after or found.last is None:
            return
        at = replace(at, after=found.last)
