"""Bring the catalogues of services/languages/locale/ up to date with the texts of the source.

Run by `make catalogues`: new texts get an empty translation, texts that are gone leave. It does
what `pybabel extract` and `pybabel update` do, without guesses ("fuzzy") and without dates, so that
two people's changes merge. A test fails while a catalogue is not complete.
"""

import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import write_po

PROJECT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(PROJECT))

from services.languages.catalogues import OF_DOCUMENTS, OFFERED, file_of, read  # noqa: E402
from services.languages.language import own_name  # noqa: E402

# Of the texts in this context alone a language of documents has translations.
DOCUMENT: Final = "document"
# A line, the keyword that marks a text, the text, its comments.
Found = tuple[int, str, str, list[str]]


def of_a_jurisdiction(
    file: BinaryIO, keywords: object, comments: object, options: Mapping[str, Any]
) -> Iterator[Found]:
    """What pages show of a jurisdiction's file: its title and what its rules ask for."""
    del keywords, comments, options
    held = tomllib.load(file)
    for text in (held["title"], *(rule["asks"] for rule in held["rules"])):
        yield 0, "gettext", text, []


_METHODS: Final[list[tuple[str, Any]]] = [
    ("**.py", "python"),
    ("**.html", "jinja2"),
    ("jurisdictions/*.toml", of_a_jurisdiction),
]
_KEYWORDS: Final = {
    **DEFAULT_KEYWORDS,
    "sentence": None,
    "nsentence": (1, 2),
    "NN_": (1, 2),
    "P_": ((1, "c"), 2),
}
# Babel's rule has the forms of 11 to 99 and of 100 to 102 the wrong way round (CLDR: many, other).
_PLURALS: Final = {
    "ar": '"Plural-Forms: nplurals=6; plural=(n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && '
    'n%100<=10 ? 3 : n%100>=11 ? 4 : 5);\\n"'
}


def extracted() -> Catalog:
    """The texts of the source, as Babel finds them."""
    found = Catalog(charset="utf-8")
    for folder in ("services", "pages"):
        for _, _, text, _, context in extract_from_dir(
            PROJECT / folder, _METHODS, keywords=_KEYWORDS
        ):
            found.add(text, context=context)
    return found


def updated(tag: str, source: Catalog) -> Catalog:
    """The catalogue of a language with the texts of the source and what was translated of them."""
    kept = read(tag) if file_of(tag).exists() else Catalog(locale=tag, charset="utf-8")
    made = Catalog(locale=tag, charset="utf-8", header_comment=_heading(tag))
    for message in source:
        if not message.id or (tag in OF_DOCUMENTS and message.context != DOCUMENT):
            continue
        old = kept.get(_key(message.id), context=message.context)
        # A text that got a plural, or lost it, is translated again.
        same = old is not None and type(old.id) is type(message.id)
        made.add(message.id, old.string if same and old else None, context=message.context)
    return made


def write(tag: str, catalogue: Catalog) -> int:
    """Write a catalogue; how many texts it lacks."""
    path = file_of(tag)
    path.parent.mkdir(parents=True, exist_ok=True)
    catalogue.fuzzy = False
    with path.open("wb") as file:
        write_po(file, catalogue, width=0, no_location=True, sort_output=True)
    lines = path.read_text(encoding="utf-8").split("\n")
    # What changes with each run and each version of Babel says nothing.
    noise = ('"POT-Creation-Date', '"PO-Revision-Date', '"Generated-By', '"Last-Translator')
    kept = [_PLURALS.get(tag, x) if x.startswith('"Plural-Forms') else x for x in lines]
    path.write_text("\n".join(x for x in kept if not x.startswith(noise)), encoding="utf-8")
    return len([m for m in catalogue if m.id and not _is_translated(m.string)])


def _heading(tag: str) -> str:
    return f"# {own_name(tag)}. Written by `make catalogues`; see docs/languages.md."


def _key(text: str | Sequence[str]) -> str:
    return text if isinstance(text, str) else text[0]


def _is_translated(text: str | Sequence[str] | None) -> bool:
    return bool(text) and (isinstance(text, str) or all(text or ()))


def main() -> None:
    """Update all catalogues and say what they lack."""
    source = extracted()
    for tag in (*OFFERED, *OF_DOCUMENTS):
        if tag != "en":
            missing = write(tag, updated(tag, source))
            sys.stdout.write(f"{tag}: {len(source)} texts, {missing} to be translated\n")


if __name__ == "__main__":
    main()
