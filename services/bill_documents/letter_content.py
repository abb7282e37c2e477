"""A letter to a customer: what it prints, and the texts that its layout (letter.typ) places."""

from typing import Final

from services.bill_documents.content import Content, sheet_of
from services.bill_documents.document import LetterDocument
from services.bill_documents.text import sound, typed, typed_in_one_line
from services.bill_documents.words import Words

# As many lines as a window shows beside the name.
MOST_ADDRESS_LINES: Final = 5


def letter_content(document: LetterDocument) -> Content:
    """Everything that is printed, as JSON can hold it."""
    words = Words.of(language=document.language, currency=document.currency)
    on = document.written_on
    return {
        **sheet_of(document, words),
        "number": typed_in_one_line(document.account_no),
        "subject": sound(document.subject),
        "heading": typed_in_one_line(document.subject),
        "written": [on.year, on.month, on.day],
        "sender": typed_in_one_line(
            " · ".join([document.utility.name, *address_lines(document.utility.contact)[:2]])
        ),
        "to": [
            typed_in_one_line(line)
            for line in (document.customer_name, *address_lines(document.address))
        ],
        "facts": [
            [words.label("account_no"), typed_in_one_line(document.account_no)],
            [words.label("date"), words.long_day(on)],
        ],
        "text": [typed(part) for part in document.text.split("\n") if part.strip()],
    }


def address_lines(address: str) -> list[str]:
    """An address as an envelope has it: what was typed in one line is broken at its commas."""
    lines = [line.strip() for line in address.splitlines() if line.strip()]
    if len(lines) == 1:
        lines = [part.strip() for part in lines[0].split(",") if part.strip()]
    if len(lines) > MOST_ADDRESS_LINES:
        kept = lines[: MOST_ADDRESS_LINES - 1]
        lines = [*kept, ", ".join(lines[MOST_ADDRESS_LINES - 1 :])]
    return lines
