"""Letters: messages that reached nobody, printed for the post, each once.

A letter is kept as it was printed, so a batch can be printed once more without being another one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.bill_documents import LetterDocument, MissingLetters, Utility, render_letter
from services.bill_documents.archive import ArchiveDamaged, BillArchive
from services.bill_documents.credit_notes import CreditNoteArchive
from services.bill_documents.joined import joined
from services.database.letter_book import UnreachedPage
from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.language import Language
from services.languages.sentence import sentence
from services.messages.account_texts.charges import CHARGES_OVERDUE
from services.messages.account_texts.statements import ACCOUNT_STATEMENT
from services.messages.channels import credit_notes_of
from services.messages.sending import notification_id
from services.messages.templates import TemplateWriter, WriteMessage
from services.messages.wording import HEADLINES
from services.quantities.counting import count
from services.quantities.period import local_date
from services.records.bills import Bill, account_alone
from services.records.customers.letters import Letter, LetterBatch, UnreachedAfter, UnreachedMessage
from services.records.outbox import TELLS_OF, OutboxKind

CHANNEL: Final = "letter"
# As many as are laid out while somebody waits.
AT_ONCE: Final = 100
PAGE: Final = 25
# So far a batch looks for messages with an address.
_MOST_PAGES: Final = 20
# Their message is about a document, which goes with it.
_WITH_BILL: Final[frozenset[OutboxKind]] = frozenset({"bill_issued", "bill_corrected"})


class NothingToPrint(Exception):
    """No letter was printed; the text says why, in a sentence for the office."""


# Of those of one bill the last goes: each says what the one before said.
_PRESSING: Final[frozenset[OutboxKind]] = frozenset(
    {"payment_reminder", "overdue_notice", "disconnection_notice"}
)


@dataclass(frozen=True, slots=True)
class Printed:
    """A batch, and what was left out of it: a sentence each."""

    batch: LetterBatch
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Letters:
    """Prints letters. Each method takes a principal who may; `now` is in UTC.

    `sender` answers who sends a document now, `utility_name` the name that a text ends with.
    """

    database: DatabaseService
    archive: BillArchive
    credit_notes: CreditNoteArchive
    sender: Callable[[], Utility]
    utility_name: Callable[[], str]
    zone: ZoneInfo

    def waiting(
        self, *, principal: Principal, after: UnreachedAfter | None = None, limit: int = PAGE
    ) -> UnreachedPage:
        """Messages that reached nobody, those that wait for the longest first."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.database.letter_book.unreached(after=after, limit=limit)

    def batches(self, *, principal: Principal) -> list[LetterBatch]:
        """The last batches."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.database.letter_book.batches()

    def print_waiting(self, *, batch_id: str, principal: Principal, now: datetime) -> Printed:
        """Print what waits for the longest, AT_ONCE letters at most.

        The same id again answers the same batch. What is no longer to be said leaves the list; what
        cannot be printed stays in it. Raises NothingToPrint, NotAllowed.
        """
        require(principal, Permission.SEND_MESSAGES)
        rows, nowhere = self._waiting_with_address()
        words = count(nowhere, "message")
        said = (f"{words} cannot be printed: there is no address.",) if nowhere else ()
        return self._print(rows, said, batch_id=batch_id, principal=principal, now=now)

    def _waiting_with_address(self) -> tuple[list[UnreachedMessage], int]:
        """The first messages that could go by post, and how many on the way to them could not."""
        rows: list[UnreachedMessage] = []
        seen, after = 0, None
        for _ in range(_MOST_PAGES):
            found = self.database.letter_book.unreached(after=after, limit=AT_ONCE)
            for row in found.rows:
                if len(rows) == AT_ONCE:
                    break
                seen += 1
                rows += [row] if row.address else []
            after = found.after
            if len(rows) == AT_ONCE or after is None:
                break
        return rows, seen - len(rows)

    def print_one(
        self, *, work_id: str, batch_id: str, principal: Principal, now: datetime
    ) -> Printed:
        """Print one message as a letter, whether it reached the customer or not.

        Raises NothingToPrint, also where it was printed before, and NotAllowed.
        """
        require(principal, Permission.SEND_MESSAGES)
        found = self.database.letter_book.messages([work_id])
        if not found:
            raise NothingToPrint("It is still being sent: print it once that is over.")
        return self._print(found, (), batch_id=batch_id, principal=principal, now=now)

    def pdf(self, *, batch_id: str, principal: Principal) -> bytes:
        """All letters of a batch as one PDF, each followed by the bills and credit notes in it.

        Raises NotFound, NotAllowed, MissingLetters, ArchiveDamaged.
        """
        require(principal, Permission.VIEW_CUSTOMERS)
        batch = self.database.letter_book.batch(batch_id)
        letters = self.database.letter_book.letters(batch_id=batch.id)
        return self._laid_out(letters, batch)

    def pdf_of(self, *, letter_id: str, principal: Principal) -> bytes:
        """One letter, by the id of its message; raises as `pdf` does."""
        require(principal, Permission.VIEW_CUSTOMERS)
        letter = self.database.letter_book.letter(letter_id)
        return self._laid_out([letter], self.database.letter_book.batch(letter.batch_id))

    def _print(
        self,
        rows: Sequence[UnreachedMessage],
        said: Sequence[str],
        *,
        batch_id: str,
        principal: Principal,
        now: datetime,
    ) -> Printed:
        today = local_date(now, self.zone)
        letters: list[dict[str, Any]] = []
        dropped: list[str] = []
        left_out = list(said)
        last = {row.bill_id: row.work_id for row in rows if row.kind in _PRESSING}
        for row in rows:
            try:
                if row.kind in _PRESSING and last[row.bill_id] != row.work_id:
                    raise _NotNeeded("a later notice overtook it")
                letters.append(self._letter(row, today))
            except _NotNeeded as why:
                dropped.append(row.work_id)
                left_out.append(f"{row.reference}, account {row.account_no}: {why}.")
            except NothingToPrint as why:
                left_out.append(f"{row.reference}, account {row.account_no}: {why}")
        batch = self.database.letter_book.print_letters(
            actor=principal.user, batch_id=batch_id, today=today, letters=letters, dropped=dropped
        )
        if batch is None:
            nothing = (
                sentence("It was printed as a letter before.")
                if letters
                else sentence("Nothing waits for it.")
            )
            raise NothingToPrint(" ".join(left_out) or nothing)
        return Printed(batch, tuple(left_out))

    def _letter(self, row: UnreachedMessage, today: date) -> dict[str, Any]:
        """A letter, which was laid out once: what cannot be printed is not marked as sent."""
        if row.kind == ACCOUNT_STATEMENT:
            raise NothingToPrint("a statement is printed on the page of the customer.")
        if not row.address:
            raise NothingToPrint("there is no address that a letter could go to.")
        language = Language.of(row.language)
        notes = credit_notes_of(row.facts)
        bill = self._bill(row)
        enclosed = [bill.id, *row.facts.get(TELLS_OF, "").split()]
        if notes and bill.status == "void":
            # What a credit note takes back was sent when it was issued.
            enclosed = []
        letter = Letter(
            id=notification_id(
                bill_id=row.bill_id or row.customer_id,
                kind=row.kind,
                channel=CHANNEL,
                occasion=row.occasion,
            ),
            batch_id="",
            place=1,
            customer_id=row.customer_id,
            bill_id=row.bill_id,
            kind=row.kind,
            customer_name=row.customer_name,
            address=row.address,
            account_no=row.account_no,
            language=row.language,
            currency=row.currency,
            subject=f"{language.gettext(HEADLINES[row.kind])} {self._about(row)}",
            body=self._text(row, bill, today),
            encloses=tuple(enclosed) if row.kind in _WITH_BILL else (),
            credit_notes=tuple(notes),
        )
        try:
            self._pages(letter, today)
        except (MissingLetters, ArchiveDamaged) as error:
            raise NothingToPrint(str(error)) from None
        return letter.model_dump(mode="json") | {"work_id": row.work_id}

    def _about(self, row: UnreachedMessage) -> str:
        return row.account_no if row.kind == CHARGES_OVERDUE else row.reference

    def _bill(self, row: UnreachedMessage) -> Bill:
        if row.bill_id is not None:
            return self.database.bill(row.bill_id)
        return account_alone(
            customer_id=row.customer_id,
            account_no=row.account_no,
            customer_name=row.customer_name,
            currency=row.currency,
        )

    def _text(self, row: UnreachedMessage, bill: Bill, today: date) -> str:
        """The words of today: what was written may be days ago."""
        if not row.facts.get("text"):
            raise NothingToPrint("nothing was written, so there is nothing to print.")
        writing = WriteMessage(self.database, TemplateWriter(self.utility_name), lambda: today)
        facts = {**row.facts, "occasion": row.occasion}
        if reason := writing.why_unsaid(bill=bill, kind=row.kind, facts=facts):
            raise _NotNeeded(reason)
        return writing.by_now(
            bill=bill, kind=row.kind, facts=facts, language=Language.of(row.language)
        )

    def _laid_out(self, letters: Sequence[Letter], batch: LetterBatch) -> bytes:
        return joined([page for one in letters for page in self._pages(one, batch.written_on)])

    def _pages(self, letter: Letter, written_on: date) -> list[bytes]:
        document = LetterDocument(
            utility=self.sender(),
            language=letter.language,
            customer_name=letter.customer_name,
            address=letter.address,
            account_no=letter.account_no,
            currency=letter.currency,
            written_on=written_on,
            subject=letter.subject,
            text=letter.body,
        )
        bills = [self.archive.pdf(bill_id).pdf for bill_id in letter.encloses]
        notes = [self.credit_notes.pdf(note_id).pdf for note_id in letter.credit_notes]
        return [render_letter(document), *bills, *notes]


class _NotNeeded(Exception):
    """The message is no longer to be said; the text is why."""
