"""The lists that people look through: filtered and ordered by the database, paged by key."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeVar

from services.database.queries.base import Json, Queries
from services.records.base import COUNTED_TO, FOUND_COUNTED_TO, Key, KeyPage, PageRequest, Record
from services.records.bills import BillSummary
from services.records.ledger import Account, Payment
from services.records.lists import (
    AccountFilter,
    BillFilter,
    CollectedFilter,
    ListFilter,
    MissedFilter,
    PaymentFilter,
    PointFilter,
)
from services.records.submissions import CollectedMeter, MissedMeter
from services.records.supply import ServicePoint

Row = TypeVar("Row", bound=Record)


class ListQueries(Queries):
    """Pages of bills, customers, payments, service points and meters that could not be read."""

    def list_bills(self, *, wanted: BillFilter, page: PageRequest) -> KeyPage[BillSummary]:
        """A page of the bills; `page.sort` is a BillSort."""
        return self._list("list_bills", BillSummary, wanted, page)

    def list_accounts(self, *, wanted: AccountFilter, page: PageRequest) -> KeyPage[Account]:
        """A page of the customers with what they owe; `page.sort` is an AccountSort."""
        return self._list("list_accounts", Account, wanted, page)

    def list_payments(self, *, wanted: PaymentFilter, page: PageRequest) -> KeyPage[Payment]:
        """A page of the payments; `page.sort` is a PaymentSort."""
        return self._list("list_payments", Payment, wanted, page)

    def list_service_points(
        self, *, wanted: PointFilter, page: PageRequest
    ) -> KeyPage[ServicePoint]:
        """A page of the service points; `page.sort` is a PointSort."""
        return self._list("list_service_points", ServicePoint, wanted, page)

    def list_missed_reads(self, *, wanted: MissedFilter, page: PageRequest) -> KeyPage[MissedMeter]:
        """A page of the meters that could not be read; `page.sort` is a MissedSort."""
        return self._list("list_missed_reads", MissedMeter, wanted, page)

    def list_meter_collections(
        self, *, wanted: CollectedFilter, page: PageRequest
    ) -> KeyPage[CollectedMeter]:
        """A page of the smart meters that were asked for; `page.sort` is a CollectedSort."""
        return self._list("list_meter_collections", CollectedMeter, wanted, page)

    def _list(
        self, function: str, row: type[Row], wanted: ListFilter, page: PageRequest
    ) -> KeyPage[Row]:
        return paged(self._call, function, row, wanted, page)


def paged(
    call: Callable[..., Any],
    function: str,
    row: type[Row],
    wanted: ListFilter,
    page: PageRequest,
) -> KeyPage[Row]:
    """A page of a list, as its SQL function answers it."""
    asked = asdict(wanted)
    counted_to = min(page.counted_to, FOUND_COUNTED_TO if asked.get("text") else COUNTED_TO)
    answer: Json = call(
        function,
        **asked,
        sort=page.sort,
        descending=page.descending,
        backwards=page.backwards,
        after=page.after,
        limit=page.limit,
        count_to=counted_to,
    )
    keys: list[Key] = [(value, row_id) for value, row_id in answer["keys"]]
    more, walked_here = bool(answer["more"]), page.after is not None
    first, last = (keys[0], keys[-1]) if keys else (None, None)
    if reached := answer.get("reached"):
        # What was looked through without a hit is not looked through again.
        first, last = (tuple(reached), last) if page.backwards else (first, tuple(reached))
    return KeyPage(
        items=tuple(row.model_validate(found) for found in answer["rows"]),
        first=first,
        last=last,
        has_before=more if page.backwards else walked_here,
        has_after=walked_here if page.backwards else more,
        total=answer["total"],
        counted_to=counted_to,
        is_part=reached is not None,
    )
