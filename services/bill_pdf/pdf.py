"""Typst, which lays a bill out: it shapes every script and embeds only the glyphs in use."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
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
# A compiler keeps its fonts between bills, and lays out one bill at a time.
_idle: Final[list[typst.Compiler]] = []


def render(document: BillDocument) -> bytes:
    """The PDF of a bill; the same document gives the same bytes.

    Other threads go on meanwhile, and may render other bills on other cores.
    """
    content = json.dumps(content_of(document), ensure_ascii=False)
    with _compiler() as compiler:
        pdf = compiler.compile(format="pdf", sys_inputs={"bill": content})
    if not isinstance(pdf, bytes):
        raise TypeError(f"The layout made {type(pdf).__name__}, not one PDF.")
    return pdf


@contextmanager
def _compiler() -> Iterator[typst.Compiler]:
    try:
        compiler = _idle.pop()
    except IndexError:
        compiler = _new_compiler()
    try:
        yield compiler
    finally:
        _idle.append(compiler)


def _new_compiler() -> typst.Compiler:
    # Letters of further scripts in names and addresses come from the computer's own fonts.
    return typst.Compiler(
        str(_LAYOUT),
        root=str(_LAYOUT.parent),
        font_paths=_font_folders(),
        ignore_system_fonts=False,
    )


def _font_folders() -> list[str]:
    return [str(package.ROOT / "files") for package in _FONTS]
