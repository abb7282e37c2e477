"""Customers' pages of their own: links, visits, codes, requests, and what similar homes use."""

from collections.abc import Sequence
from datetime import date, datetime

from services.database.queries.base import Queries
from services.database.transport import Filter
from services.records.base import Page
from services.records.customers.pages import (
    CustomerPage,
    CustomerRequest,
    HomeBand,
    NewRequest,
    OpenedBy,
    RequestState,
    SimilarMonth,
    Visit,
)


class CustomerPageQueries(Queries):
    """Who visits a customer's page, and what is asked there."""

    def customer_page(self, customer_id: str) -> CustomerPage | None:
        """The page of a customer; None where there is no such customer."""
        answer = self._call("customer_page", customer_id=customer_id)
        return CustomerPage.model_validate(answer["page"]) if answer["page"] else None

    def customer_page_numbered(self, account_no: str) -> CustomerPage | None:
        """The page of an account number, exactly as it is written."""
        answer = self._call("customer_page", account_no=account_no)
        return CustomerPage.model_validate(answer["page"]) if answer["page"] else None

    def open_customer_session(
        self,
        *,
        actor: str,
        session_id: str,
        customer_id: str,
        token_hash: str,
        generation: int,
        opened_by: OpenedBy,
        at: datetime,
        expires_at: datetime,
    ) -> None:
        """Let a browser in; raises IllegalChange where links of this generation were ended."""
        self._call(
            "open_customer_session",
            actor=actor,
            id=session_id,
            customer_id=customer_id,
            token_hash=token_hash,
            generation=generation,
            opened_by=opened_by,
            at=at.isoformat(),
            expires_at=expires_at.isoformat(),
        )

    def customer_session(self, *, token_hash: str, at: datetime) -> Visit | None:
        """The visit behind a cookie; None where it is over, was ended or never was."""
        found = self._call("customer_session", token_hash=token_hash, at=at.isoformat())["session"]
        return Visit.model_validate(found) if found else None

    def confirm_customer_session(
        self, *, actor: str, session_id: str, at: datetime, expires_at: datetime
    ) -> None:
        """A visit by a link showed the code; raises NotFound."""
        self._call(
            "confirm_customer_session",
            actor=actor,
            id=session_id,
            at=at.isoformat(),
            expires_at=expires_at.isoformat(),
        )

    def end_customer_session(self, *, actor: str, session_id: str, at: datetime) -> None:
        """A browser signs out."""
        self._call("end_customer_session", actor=actor, id=session_id, at=at.isoformat())

    def end_customer_links(self, *, actor: str, customer_id: str, at: datetime) -> None:
        """End every link to a customer's page, every visit and code; raises NotFound."""
        self._call("end_customer_links", actor=actor, customer_id=customer_id, at=at.isoformat())

    def keep_customer_code(
        self,
        *,
        code_id: str,
        customer_id: str,
        code_hash: str,
        asked_by: str,
        at: datetime,
        expires_at: datetime,
        most_an_hour: int,
    ) -> bool:
        """Keep a code that is about to be sent; False where too many were asked for."""
        answer = self._call(
            "keep_customer_code",
            id=code_id,
            customer_id=customer_id,
            code_hash=code_hash,
            asked_by=asked_by,
            at=at.isoformat(),
            expires_at=expires_at.isoformat(),
            most_an_hour=most_an_hour,
        )
        return bool(answer["kept"])

    def use_customer_code(
        self, *, customer_id: str | None, code_hash: str, at: datetime, most_guesses: int
    ) -> bool:
        """Whether a code is right, which uses it up; of no customer none is."""
        answer = self._call(
            "use_customer_code",
            customer_id=customer_id,
            code_hash=code_hash,
            at=at.isoformat(),
            most_guesses=most_guesses,
        )
        return bool(answer["right"])

    def ask_customer_request(
        self, *, actor: str, customer_id: str, request: NewRequest, at: datetime, today: date
    ) -> None:
        """A customer asks for something; a dispute holds the dunning of the account.

        `today` is the local date. Raises NotFound, and IllegalChange with a sentence for them.
        """
        self._call(
            "ask_customer_request",
            actor=actor,
            id=request.id,
            customer_id=customer_id,
            kind=request.kind,
            bill_id=request.bill_id,
            agreement_id=request.agreement_id,
            wanted_on=request.wanted_on.isoformat() if request.wanted_on else None,
            note=request.note,
            at=at.isoformat(),
            today=today.isoformat(),
        )

    def close_customer_request(
        self,
        *,
        actor: str,
        request_id: str,
        state: RequestState,
        at: datetime,
        answer: str = "",
        customer_id: str | None = None,
    ) -> None:
        """Close a request, of this customer if one is named; raises NotFound, IllegalChange."""
        self._call(
            "close_customer_request",
            actor=actor,
            id=request_id,
            customer_id=customer_id,
            state=state,
            answer=answer,
            at=at.isoformat(),
        )

    def customer_requests(
        self,
        *,
        still_open: bool | None = None,
        customer_id: str | None = None,
        bill_id: str | None = None,
        page: int = 1,
        page_size: int = 10,
    ) -> Page[CustomerRequest]:
        """Requests: those open the oldest first, others the last first."""
        filters = [] if still_open is None else [_is_open(still_open)]
        of = {"customer_id": customer_id, "bill_id": bill_id}
        filters += [Filter(c, "eq", v) for c, v in of.items() if v is not None]
        rows, total = self._page(
            "customer_request_list",
            filters=filters,
            order=_order(still_open),
            page=page,
            page_size=page_size,
        )
        return Page(items=tuple(CustomerRequest.model_validate(row) for row in rows), total=total)

    def home_band(self, agreement_id: str) -> HomeBand | None:
        """With which homes an agreement is compared."""
        found = self._call("home_band", agreement_id=agreement_id)["band"]
        return HomeBand.model_validate(found) if found else None

    def similar_use(
        self, *, band: HomeBand, since: date, most: int, least: int
    ) -> list[SimilarMonth]:
        """What at most so many homes use in the middle, of months with more than `least`."""
        answer = self._call(
            "similar_use",
            route=band.route,
            tariff_id=band.tariff_id,
            since=since.isoformat(),
            most=most,
            least=least,
        )
        return [SimilarMonth.model_validate(row) for row in answer["months"]]


def _is_open(still_open: bool) -> Filter:
    return Filter("state", "eq" if still_open else "neq", "open")


def _order(still_open: bool | None) -> Sequence[str]:
    if still_open:
        return ["asked_at.asc", "id.asc"]
    return ["asked_at.desc", "id.desc"] if still_open is None else ["closed_at.desc", "id.desc"]
