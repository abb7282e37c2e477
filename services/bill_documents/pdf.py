"""Typst, which lays a bill out: it shapes every script and embeds only the glyphs in use."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import manimgx_fonts
import manimgx_fonts_cjk
import typst

from services.bill_documents.content import Content, content_of
from services.bill_documents.credit_note_content import credit_note_content
from services.bill_documents.document import (
    BillDocument,
    CreditNoteDocument,
    LetterDocument,
    ReceiptDocument,
    StatementDocument,
)
from services.bill_documents.letter_content import letter_content
from services.bill_documents.receipt_content import receipt_content
from services.bill_documents.statement_content import statement_content

_BILL: Final = Path(__file__).with_name("bill.typ")
_STATEMENT: Final = Path(__file__).with_name("statement.typ")
_RECEIPT: Final = Path(__file__).with_name("receipt.typ")
_CREDIT_NOTE: Final = Path(__file__).with_name("credit_note.typ")
_LETTER: Final = Path(__file__).with_name("letter.typ")
# Noto Sans in the scripts of most of the world; Chinese, Japanese and Korean are a package apart.
_FONTS: Final = (manimgx_fonts, manimgx_fonts_cjk)
# PDF for archives (ISO 19005-2): all fonts within it, and no letter without its glyph.
_ARCHIVED: Final = "a-2u"
_LOST: Final = re.compile(r'the text `"((?:[^"\\]|\\.)*)"` could not be displayed')
_ESCAPED: Final = re.compile(r"\\u\{([0-9a-f]+)\}|\\(.)")
# Everybody's own letters: no font says which sign is meant.
_PRIVATE: Final = re.compile("[\ue000-\uf8ff\U000f0000-\U0010ffff]")
_MOST_NAMED: Final = 40
# A compiler keeps its fonts between documents, and lays out one of its kind at a time.
_idle: Final[dict[Path, list[typst.Compiler]]] = {
    _BILL: [],
    _STATEMENT: [],
    _RECEIPT: [],
    _CREDIT_NOTE: [],
    _LETTER: [],
}


class MissingLetters(Exception):
    """No font at hand has some letters of a bill: `letters`, each once, in their order."""

    def __init__(self, letters: str) -> None:
        self.letters = letters
        named = " ".join(_named(letter) for letter in letters[:_MOST_NAMED])
        more = " and more" if len(letters) > _MOST_NAMED else ""
        super().__init__(
            f"No font at hand has these letters: {named}{more}. Install a font that has them on "
            "this computer, or correct the text; the bill is tried again every hour."
        )


def render(document: BillDocument) -> bytes:
    """The PDF (PDF/A-2u) of a bill; the same document gives the same bytes.

    Other threads go on meanwhile, and may render other bills on other cores. Raises
    MissingLetters: a bill is printed in full or not at all.
    """
    return _laid_out(_BILL, content_of(document))


def render_statement(document: StatementDocument) -> bytes:
    """The PDF (PDF/A-2u) of a statement of account; the same document gives the same bytes.

    Raises MissingLetters.
    """
    return _laid_out(_STATEMENT, statement_content(document))


def render_receipt(document: ReceiptDocument) -> bytes:
    """The PDF (PDF/A-2u) of a receipt; the same document gives the same bytes.

    Raises MissingLetters.
    """
    return _laid_out(_RECEIPT, receipt_content(document))


def render_credit_note(document: CreditNoteDocument) -> bytes:
    """The PDF (PDF/A-2u) of a credit note; the same document gives the same bytes.

    Raises MissingLetters.
    """
    return _laid_out(_CREDIT_NOTE, credit_note_content(document))


def render_letter(document: LetterDocument) -> bytes:
    """The PDF (PDF/A-2u) of a letter; the same document gives the same bytes.

    Raises MissingLetters.
    """
    return _laid_out(_LETTER, letter_content(document))


def _laid_out(layout: Path, content: Content) -> bytes:
    written = json.dumps(content, ensure_ascii=False)
    if private := _PRIVATE.findall(written):
        raise MissingLetters("".join(dict.fromkeys(private)))
    with _compiler(layout) as compiler:
        pdf = _compiled(compiler, written)
    if not isinstance(pdf, bytes):
        raise TypeError(f"The layout made {type(pdf).__name__}, not one PDF.")
    return pdf


def _compiled(compiler: typst.Compiler, content: str) -> bytes | list[bytes] | None:
    try:
        return compiler.compile(
            format="pdf", sys_inputs={"document": content}, pdf_standards=[_ARCHIVED]
        )
    except typst.TypstError as error:
        if lost := _LOST.findall(error.diagnostic):
            raise MissingLetters(_letters(lost)) from None
        raise


def _letters(lost: list[str]) -> str:
    """What Typst names, each letter once, without its escapes."""
    texts = (_ESCAPED.sub(_unescaped, text) for text in lost)
    return "".join(dict.fromkeys("".join(texts)))


def _unescaped(escaped: re.Match[str]) -> str:
    code, letter = escaped.groups()
    return chr(int(code, 16)) if code else letter


def _named(letter: str) -> str:
    """A letter with its code, since whoever reads this may lack the font too."""
    return f"{letter} (U+{ord(letter):04X})" if letter.isprintable() else f"U+{ord(letter):04X}"


@contextmanager
def _compiler(layout: Path) -> Iterator[typst.Compiler]:
    try:
        compiler = _idle[layout].pop()
    except IndexError:
        compiler = _new_compiler(layout)
    try:
        yield compiler
    except MissingLetters:
        # The next try looks for fonts again: one may have been installed.
        for compilers in _idle.values():
            compilers.clear()
        raise
    _idle[layout].append(compiler)


def _new_compiler(layout: Path) -> typst.Compiler:
    # Letters that our fonts lack come from the computer's own.
    return typst.Compiler(
        str(layout),
        root=str(layout.parent),
        font_paths=[str(Path(package.__file__).parent) for package in _FONTS],
        ignore_system_fonts=False,
    )
