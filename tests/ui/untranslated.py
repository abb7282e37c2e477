"""English that a page still shows to whoever reads Arabic: two Latin words in a row."""

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any, Final

from streamlit.testing.v1 import AppTest

from services.container import Services
from tests.integration.utility import ADMIN

# Where Streamlit's messages hold what a person reads.
_READ: Final = {"body", "caption", "help", "label", "options", "placeholder", "text", "title"}
_ICON: Final = re.compile(r":material/\w+:|:[a-z-]+\[")
_ENGLISH: Final = re.compile(r"[A-Za-z][a-z]+ (?:[a-z]+ )*[a-z]{2,}")


def reads_arabic(services: Services, user: str) -> None:
    """Let a user read the office's pages in Arabic."""
    services.user_languages.choose("ar", principal=replace(ADMIN, user=user))


def english_on(app: AppTest, *, data: Collection[str] = ()) -> list[str]:
    """The texts of the page itself with English in them; `data` is what people typed."""
    texts = [text for child in app.main.children.values() for text in _texts(child)]
    assert any(re.search("[\u0600-\u06ff]{3}", text) for text in texts)
    return [text for text in texts if _ENGLISH.search(_bare(text, data))]


def _bare(text: str, data: Collection[str]) -> str:
    bare = _ICON.sub("", text.replace("\\", "").replace("\u2068", "").replace("\u2069", ""))
    for typed in data:
        bare = bare.replace(typed, "")
    return bare


def _texts(node: Any) -> Iterator[str]:
    proto = getattr(node, "proto", None)
    if proto is not None:
        yield from _strings(proto)
    for child in getattr(node, "children", {}).values():
        yield from _texts(child)


def _strings(message: Any) -> Iterator[str]:
    if not hasattr(message, "ListFields"):
        return
    for field, value in message.ListFields():
        values = value if field.is_repeated else [value]
        for one in values:
            if isinstance(one, str):
                if field.name in _READ:
                    yield one
            else:
                yield from _strings(one)
