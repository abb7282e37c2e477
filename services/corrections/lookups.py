"""What somebody who corrects a bill looks at before saying what is wrong with it."""

from dataclasses import dataclass

from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.records.corrections import BillToCorrect


@dataclass(frozen=True, slots=True)
class CorrectionLookups:
    """Bills before their correction."""

    database: DatabaseService

    def bill_to_correct(self, *, bill_id: str, principal: Principal) -> BillToCorrect:
        """A bill, its two readings, and the other tariffs that its meter may have been on.

        Raises NotAllowed, NotFound.
        """
        require(principal, Permission.VIEW_BILLS)
        bill = self.database.bill(bill_id)
        return BillToCorrect(
            bill=bill,
            opening=self.database.reading(bill.opening_reading_id),
            closing=self.database.reading(bill.closing_reading_id),
            other_tariffs=tuple(
                one
                for one in self.database.tariffs()
                if one.currency == bill.currency and one.code != bill.tariff_code
            ),
        )
