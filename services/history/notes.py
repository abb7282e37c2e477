"""Notes that the office writes about a customer; a note is never changed."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import sentence

LONGEST: Final = 4000


class InvalidNote(ValueError):
    """What was typed is no note; the sentence says what to change."""


@dataclass(frozen=True, slots=True)
class CustomerNotes:
    """Writes notes, for administrators."""

    database: DatabaseService

    def add(self, *, note_id: str, customer_id: str, text: str, principal: Principal) -> None:
        """Write a note down; the same id again changes nothing.

        Raises NotAllowed, InvalidNote, NotFound, and IllegalChange for another note under its id.
        """
        require(principal, Permission.CHANGE_CUSTOMERS)
        note = text.strip()
        if not note:
            raise InvalidNote(sentence("The note is empty: write down what is to be known."))
        if len(note) > LONGEST:
            raise InvalidNote(
                sentence(
                    "The note has {length} letters; {longest} can be kept.",
                    length=len(note),
                    longest=LONGEST,
                )
            )
        if any(not letter.isprintable() and letter not in "\n\t" for letter in note):
            raise InvalidNote(sentence("The note has letters that cannot be shown: type it again."))
        self.database.add_customer_note(
            actor=principal.user, note_id=str(UUID(note_id)), customer_id=customer_id, note=note
        )
