"""A list that was looked through in part says so, and leads on from where it came."""

from types import SimpleNamespace
from typing import Any

from pages.shared.list_place import Place, pages_from, position_words
from pages.shared.listing import _length
from services.records.base import FOUND_COUNTED_TO, Key, KeyPage, PageRequest

_LISTING: Any = SimpleNamespace(noun="payment", is_narrowed=True, asked="", nothing="")
_SHOWN = Place(PageRequest("received", descending=True), 0)
_REACHED: Key = ("2026-10-01", "7")


def _page(items: int, *, total: int | None = None, **more: Any) -> KeyPage[Any]:
    rows = tuple(SimpleNamespace(id=str(n)) for n in range(items))
    given: dict[str, Any] = {"first": ("2026-10-05", "1"), "last": _REACHED, "has_before": False}
    return KeyPage(rows, **(given | {"has_after": True} | more), total=total)


def test_a_part_without_a_row_leads_on() -> None:
    part = _page(0, first=None, is_part=True)
    assert _length(part, _LISTING) == (
        "0 payments so far; the next page looks further. A rarer word or a filter finds it sooner."
    )
    leads = pages_from(_LISTING, _SHOWN, part)
    assert leads["next"]
    assert leads["last"] is None
    assert position_words(_SHOWN, part) == ""


def test_a_part_walked_from_the_end_leads_to_the_page_before() -> None:
    part = _page(2, has_before=True, has_after=False, is_part=True)
    assert _length(part, _LISTING).startswith("2 payments so far; the page before looks further.")


def test_what_is_not_counted_is_many() -> None:
    page = _page(25)
    assert _length(page, _LISTING) == "Many payments"
    assert position_words(_SHOWN, page) == "1–25 of many"
    assert pages_from(_LISTING, _SHOWN, page)["last"] is None


def test_words_are_counted_to_a_thousand() -> None:
    page = _page(25, total=FOUND_COUNTED_TO + 1, counted_to=FOUND_COUNTED_TO)
    assert _length(page, _LISTING) == "More than 1,000 payments"
    assert position_words(_SHOWN, page) == "1–25 of more than 1,000"
    assert not page.is_counted
    assert _page(25, total=1_000, counted_to=FOUND_COUNTED_TO).is_counted
