"""Typst lays a bill out: it shapes every script, and embeds only the glyphs that are used."""

import json
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Final

import fontpkg_noto_sans
import fontpkg_noto_sans_arabic
import fontpkg_noto_sans_thai
import typst

from services.bill_pdf.content import content_of
from services.bill_pdf.document import BillDocument

_LAYOUT: Final = Path(__file__).with_name("bill.typ")
# Noto Sans has Latin, Cyrillic, Greek and Devanagari.
_FONTS: Final = (fontpkg_noto_sans, fontpkg_noto_sans_arabic, fontpkg_noto_sans_thai)
# A compiler keeps its fonts between bills and does one thing at a time.
_one_at_a_time: Final = Lock()


def render(document: BillDocument) -> bytes:
    """The PDF of a bill; the same document gives the same bytes."""
    content = json.dumps(content_of(document), ensure_ascii=False)
    with _one_at_a_time:
        pdf = _compiler().compile(format="pdf", sys_inputs={"bill": content})
    if not isinstance(pdf, bytes):
        raise TypeError(f"The layout made {type(pdf).__name__}, not one PDF.")
    return pdf


@cache
def _compiler() -> typst.Compiler:
    # Letters of further scripts in names and addresses come from the computer's own fonts.
    return typst.Compiler(
        str(_LAYOUT),
        root=str(_LAYOUT.parent),
        font_paths=_font_folders(),
        ignore_system_fonts=False,
    )


def _font_folders() -> list[str]:
    return [str(package.ROOT / "files") for package in _FONTS]
