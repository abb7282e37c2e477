"""The utility's logo on a bill: in its place, in its proportions, in every script's direction."""

import io
from dataclasses import replace

import pypdfium2 as pdfium
import pytest
from PIL import Image
from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

from services.bill_documents import BillDocument, Utility, render
from tests.unit.bill_documents import bills, printed

POINTS_A_MM = 72 / 25.4


def with_logo(document: BillDocument, size: tuple[int, int], mode: str = "RGB") -> BillDocument:
    written = io.BytesIO()
    Image.new(mode, size, 100).save(written, "PNG")
    name = "A name that is long enough to need the whole line and then some more of it"
    return replace(document, utility=Utility(name, "1 Hill Road\n0484 123", written.getvalue()))


def logo_of(pdf: bytes, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of the logo, in mm."""
    with pdfium.PdfDocument(pdf) as document:
        images = document[0].get_objects(filter=(FPDF_PAGEOBJ_IMAGE,))
        (bounds,) = [one.get_bounds() for one in images if one.get_px_size() == size]
    left, bottom, right, top = (edge / POINTS_A_MM for edge in bounds)
    return left, bottom, right, top


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("size", [(720, 240), (240, 240), (60, 240), (720, 4), (1, 1)])
def test_a_logo_of_any_shape_keeps_its_proportions_and_its_place(
    size: tuple[int, int], mode: str
) -> None:
    document = with_logo(bills.yen(), size, mode)
    left, bottom, right, top = logo_of(render(document), size)
    width, height = right - left, top - bottom
    assert width <= 48.1
    assert height <= 14.1
    assert width / height == pytest.approx(size[0] / size[1], rel=0.06)
    assert left == pytest.approx(15, abs=0.5), "the page's margin"
    assert "A name that is long enough" in printed.text_of(document)


def test_in_arabic_it_stands_at_the_right() -> None:
    document = with_logo(bills.arabic(), (240, 240))
    _, _, right, _ = logo_of(render(document), (240, 240))
    assert right == pytest.approx(210 - 15, abs=0.5)


def test_the_same_logo_gives_the_same_bytes() -> None:
    document = with_logo(bills.yen(), (720, 240))
    assert render(document) == render(document)


def test_a_logo_moves_nothing_off_the_page() -> None:
    left, right = printed.text_span(with_logo(bills.yen(), (720, 240)))
    assert left > 0
    assert right < 1
