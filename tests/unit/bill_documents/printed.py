"""What a PDF shows: its text, and how wide its words are."""

import unicodedata
from collections.abc import Iterator
from ctypes import byref, c_float

import pypdfium2 as pdfium
from pypdfium2.raw import FPDF_PAGEOBJ_TEXT, FPDFTextObj_GetFontSize

from services.bill_documents import BillDocument, render

# Of the text in bill.typ, the customer's name alone has this size.
_NAME_SIZE = 11.0


def pages(pdf: bytes) -> list[str]:
    """The text of each page, with single spaces and compatible letters unified."""
    with pdfium.PdfDocument(pdf) as document:
        return [_page_text(page) for page in document]


def text_of(document: BillDocument) -> str:
    """All the text of a bill."""
    return " ".join(pages(render(document)))


def name_span(document: BillDocument) -> tuple[float, float]:
    """Where the customer's name begins and ends on the first page, in points from the left."""
    with pdfium.PdfDocument(render(document)) as pdf:
        bounds = list(_name_bounds(pdf[0]))
    return min(left for left, _ in bounds), max(right for _, right in bounds)


def text_span(document: BillDocument) -> tuple[float, float]:
    """How far the text of any page reaches to the left and right, as shares of its width."""
    with pdfium.PdfDocument(render(document)) as pdf:
        bounds = [
            (one.get_bounds(), page.get_width())
            for page in pdf
            for one in page.get_objects(filter=(FPDF_PAGEOBJ_TEXT,))
        ]
    return min(b[0] / width for b, width in bounds), max(b[2] / width for b, width in bounds)


def _page_text(page: pdfium.PdfPage) -> str:
    text = page.get_textpage().get_text_range()
    return " ".join(unicodedata.normalize("NFKC", text).replace("\u200b", "").split())


def _name_bounds(page: pdfium.PdfPage) -> Iterator[tuple[float, float]]:
    for one in page.get_objects(filter=(FPDF_PAGEOBJ_TEXT,)):
        size = c_float()
        FPDFTextObj_GetFontSize(one.raw, byref(size))
        left, _, right, _ = one.get_bounds()
        if abs(size.value - _NAME_SIZE) < 0.01 and right > left:
            yield left, right
