"""The catalogues in locale/: read as translators write them (.po), so that nothing is compiled.

English has none: its texts are those of the source.
"""

from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

FOLDER: Final = Path(__file__).with_name("locale")
# As people choose among them.
OFFERED: Final = ("en", "es", "fr", "hi", "ar", "sw")
# Bills and receipts are printed in these too; pages and messages are not translated.
OF_DOCUMENTS: Final = ("th",)


def file_of(tag: str) -> Path:
    """Where the catalogue of a language lies."""
    return FOLDER / tag / "LC_MESSAGES" / "messages.po"


def read(tag: str) -> Catalog:
    """The catalogue of a language, as it is written."""
    with file_of(tag).open("rb") as file:
        return read_po(file, locale=tag)


@cache
def translations(tag: str) -> NullTranslations:
    """What a catalogue answers with; English answers with what it is asked."""
    if tag == "en":
        return NullTranslations()
    compiled = BytesIO()
    write_mo(compiled, read(tag))
    compiled.seek(0)
    return GNUTranslations(compiled)
