"""Lines of bank statements in the office: what was matched and why, and whose the others are."""

from dataclasses import dataclass

from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import sentence
from services.outbox.outbox import Outbox
from services.payments.entry_forms import InvalidEntry
from services.records.base import Page
from services.records.reconciliation import BankLine, BankLineStatus

_MOST_REASON = 200


@dataclass(frozen=True, slots=True)
class BankLines:
    """Lines of bank statements. Each method raises NotAllowed for who is no administrator."""

    database: DatabaseService
    outbox: Outbox

    def lines(
        self, *, status: BankLineStatus, principal: Principal, page: int, page_size: int
    ) -> Page[BankLine]:
        """Lines with a status: those that wait for a person oldest first, others newest first."""
        require(principal, Permission.VIEW_PAYMENTS)
        return self.database.bank_lines(status=status, page=page, page_size=page_size)

    def choose_payer(
        self,
        line_id: str,
        *,
        principal: Principal,
        customer_id: str | None = None,
        bill_id: str | None = None,
    ) -> BankLine:
        """Count a line as a payment of this customer, or for this bill; the line as it is now.

        Raises NotFound, IllegalChange.
        """
        require(principal, Permission.RECORD_PAYMENTS)
        self.database.choose_bank_payer(
            actor=principal.user,
            line_id=line_id,
            customer_id=customer_id,
            bill_id=bill_id,
            outbox=self.outbox.on_money(),
        )
        return self.database.bank_line(line_id)

    def set_aside(self, line_id: str, *, reason: str, principal: Principal) -> None:
        """A line is nobody's payment. Raises NotFound, IllegalChange, InvalidEntry."""
        require(principal, Permission.RECORD_PAYMENTS)
        reason = " ".join(reason.split())
        if not reason:
            raise InvalidEntry(sentence("Say why the line is nobody's payment."))
        if len(reason) > _MOST_REASON:
            raise InvalidEntry(
                sentence("The reason is longer than {number} characters.", number=_MOST_REASON)
            )
        self.database.set_bank_line_aside(actor=principal.user, line_id=line_id, reason=reason)
