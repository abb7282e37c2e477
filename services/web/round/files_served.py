"""The files of the round's page. They hold nothing of anybody, so a phone may keep them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from services.languages.catalogues import OFFERED
from services.languages.language import Language
from services.web.round.words import words_json

PATH: Final = "/round"
_FOLDER: Final = Path(__file__).parent / "files"
_WORKER: Final = "worker.js"
_TYPES: Final = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}

# What the page loads, by name; the worker keeps all of it on the phone.
_FILES: Final = {path.name: path for path in _FOLDER.iterdir() if path.suffix in _TYPES}
_NAMES: Final = sorted(_FILES)
# Its own scripts and styles, no others; a photo is shown from the browser's memory. The letters are
# the phone's own: those of the pages weigh more than all the rest.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; manifest-src 'self'; worker-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class ServedFile:
    """A file as it is answered: its bytes, its type, and the headers beside them."""

    content: bytes
    mimetype: str
    headers: Mapping[str, str]


def page(utility_name: str, language: Language) -> ServedFile:
    """The page's shell, in which the script draws."""
    # Within <script>, JSON ends at the first "</".
    words = Markup(json.dumps(words_json(language)).replace("<", "\\u003c"))  # noqa: S704
    text = _page().render(_=language.gettext, language=language, utility=utility_name, words=words)
    return _served(text, "text/html", language)


def manifest(utility_name: str, language: Language) -> ServedFile:
    """What a phone needs to install the page."""
    said = {
        "name": language.gettext("Reading round, {utility}", utility=utility_name),
        "short_name": language.gettext("Round"),
        "lang": language.tag,
        "dir": language.direction,
        "id": PATH,
        "start_url": PATH,
        "scope": PATH,
        "display": "standalone",
        "background_color": "#ffffff",
        "theme_color": "#0b6e75",
        "icons": [
            {"src": f"{PATH}/icon-192.png", "sizes": "192x192", "type": "image/png"},
            {"src": f"{PATH}/icon-512.png", "sizes": "512x512", "type": "image/png"},
            {"src": f"{PATH}/icon.svg", "sizes": "any", "type": "image/svg+xml"},
        ],
    }
    return _served(json.dumps(said), "application/manifest+json", language)


def file(name: str) -> ServedFile | None:
    """One of the page's files; None where there is none of this name."""
    if name not in _FILES:
        return None
    content = _FILES[name].read_bytes()
    if name == _WORKER:
        names = json.dumps([kept for kept in _NAMES if kept != _WORKER])
        content = content.replace(b"{version}", _version().encode())
        content = content.replace(b"{names}", names.encode())
    return _served(content, _TYPES[Path(name).suffix])


@cache
def _version() -> str:
    """Another one whenever any of the files, or of the words in the page, is another."""
    read = hashlib.sha256()
    for tag in OFFERED:
        read.update(json.dumps(words_json(Language.of(tag))).encode())
    read.update((_FOLDER / "page.html").read_bytes())
    for name in _NAMES:
        read.update(_FILES[name].read_bytes())
    return read.hexdigest()[:16]


@cache
def _page() -> Template:
    made = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined)
    return made.get_template("page.html")


def _served(content: str | bytes, mimetype: str, language: Language | None = None) -> ServedFile:
    held = content.encode() if isinstance(content, str) else content
    headers = {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": _POLICY,
        "Service-Worker-Allowed": PATH,
    }
    if language is not None:
        headers |= {"Content-Language": language.tag, "Vary": "Accept-Language"}
    return ServedFile(held, mimetype, headers)
