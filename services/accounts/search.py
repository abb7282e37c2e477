"""One search over customers, meters, places, bills, credit notes and payments, for the office."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.quantities.money import InvalidMoney
from services.quantities.typed import typed_money
from services.records.bills import number_of_reference
from services.records.search import SearchResults

# Of each kind; who wants more opens the list.
AT_MOST: Final = 8
LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Search:
    """Finds what people know a part of; `currency` is what a typed amount is taken to be in."""

    database: DatabaseService
    currency: Callable[[], str]

    def find(self, text: str, *, principal: Principal) -> SearchResults:
        """What fits `text`: customers by name, account, phone, e-mail or address, meters by serial,
        places by address, code or a meter that is or was there, bills by number or total, credit
        notes by number, payments by reference or amount. A meter's whole serial also finds who is,
        or at its end was, supplied by it, and its latest bills.

        Raises NotAllowed, DatabaseError.
        """
        require(principal, Permission.VIEW_CUSTOMERS)
        text = " ".join(text[:LONGEST].split())
        if not text:
            return SearchResults()
        return self.database.search(
            text=text,
            bill_number=_bill_number(text),
            amount_minor=self._amount_minor(text),
            limit=AT_MOST,
        )

    def _amount_minor(self, text: str) -> int | None:
        try:
            return typed_money(text, currency=self.currency()).minor
        except InvalidMoney:
            return None


def _bill_number(text: str) -> int | None:
    if text.isascii() and text.isdigit() and len(text) < 16:
        return int(text)
    return number_of_reference(text)
