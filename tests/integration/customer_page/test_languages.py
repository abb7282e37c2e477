"""A customer's page in each language: no English is left, and a choice is remembered."""

import re

import pytest

from scripts.write_catalogues import extracted
from services.languages.catalogues import OFFERED, read
from services.languages.language import Language
from tests.integration.customer_page.visitor import Town, Visitor

TRANSLATED = [tag for tag in OFFERED if tag != "en"]
PAGES = (
    "",
    "/bills",
    "/payments",
    "/usage",
    "/reading",
    "/contact",
    "/moving-out",
    "/end-links",
    "/statement",
)
ENGLISH = {
    text.split("{", maxsplit=1)[0].strip()
    for message in extracted()
    if message.id and message.context is None
    for text in ([message.id] if isinstance(message.id, str) else message.id)
}
# Such a beginning of a sentence is no word of another language.
SENTENCES = {text for text in ENGLISH if len(text) > 12 and " " in text}


def seen(visitor: Visitor) -> str:
    """What people read on the page, with what is read out to them."""
    text = re.sub(r"(?s)<(style|script).*?</\1>", "", visitor.text)
    named = re.findall(r'(?:aria-label|alt|title|placeholder)="([^"]*)"', text)
    return " ".join([re.sub(r"<[^>]*>", "\n", text), *named])


def english_left(visitor: Visitor, tag: str) -> list[str]:
    kept = {m.string for m in read(tag) if isinstance(m.string, str)}
    text = seen(visitor)
    return sorted(one for one in SENTENCES if one in text and one not in kept)


@pytest.mark.parametrize("tag", TRANSLATED)
def test_no_english_is_left_on_any_page(town: Town, tag: str) -> None:
    town.home("M1")
    bill = town.bill("M1")
    visitor = town.visitor()
    visitor.get("/my/sign-in", headers={"Accept-Language": f"{tag}, en;q=0.5"})
    assert f'<html lang="{tag}" dir="{Language.of(tag).direction}">' in visitor.text
    assert english_left(visitor, tag) == []
    visitor.post("/my/language", language=tag, next="/my/sign-in")
    visitor.post("/my/sign-in", account="A-nobody")
    assert english_left(visitor, tag) == []
    visitor = town.confirmed("M1")
    visitor.post("/my/language", language=tag, next="/my/bills")
    for path in (*PAGES, f"/bills/{bill.id}", f"/bills/{bill.id}/dispute", "/nowhere"):
        visitor.get(f"/my{path}")
        assert f'<html lang="{tag}"' in visitor.text, path
        assert english_left(visitor, tag) == [], path
    money = Language.of(tag).money(bill.money(bill.balance_minor))
    assert money in re.sub(r"\s", " ", visitor.get("/my")) or money in visitor.text
    # Refusals are said in the language too.
    visitor.get("/my/moving-out")
    visitor.post("/my/moving-out", agreement="", last_day="")
    assert visitor.status == 422
    assert english_left(visitor, tag) == []
    visitor.get("/my/reading")
    meter = re.search(r'name="meter" value="([0-9a-f-]+)"', visitor.text)
    assert meter
    visitor.post("/my/reading", meter=meter[1], kwh="many", id=visitor.form_id)
    assert visitor.status == 422
    assert english_left(visitor, tag) == []


def test_a_choice_needs_no_visit_and_stays_in_the_browser(town: Town) -> None:
    visitor = town.visitor()
    visitor.get("/my/sign-in", headers={"Accept-Language": "fr"})
    assert '<html lang="fr" dir="ltr">' in visitor.text
    visitor.post("/my/language", language="ar", next="/my/sign-in")
    assert '<html lang="ar" dir="rtl">' in visitor.text
    visitor.get("/my/sign-in", headers={"Accept-Language": "fr"})
    assert '<html lang="ar" dir="rtl">' in visitor.text


def test_a_choice_of_who_showed_a_code_is_the_customers_own(town: Town) -> None:
    customer = town.home("M1")
    town.bill("M1")
    link = town.link("M1")
    visitor = town.confirmed("M1")
    visitor.post("/my/language", language="sw", next="/my")
    assert town.utility.services.database.customer_contact(customer).language == "sw"
    # Another browser begins with it, and the form of the contact shows it.
    other = town.visitor()
    other.open(link)
    assert '<html lang="sw"' in other.text
    visitor.get("/my/contact")
    assert re.search(r'<option value="sw" lang="sw" selected>Kiswahili', visitor.text)


def test_who_came_by_a_link_alone_changes_nothing_of_the_customer(town: Town) -> None:
    customer = town.home("M1")
    town.bill("M1")
    visitor = town.visitor()
    visitor.open(town.link("M1"))
    visitor.post("/my/language", language="hi", next="/my")
    assert '<html lang="hi"' in visitor.text
    assert town.utility.services.database.customer_contact(customer).language == "en"


@pytest.mark.parametrize("tag", ["", "th", "xx", "../..", "en" * 200])
def test_a_language_that_there_is_not_changes_nothing(town: Town, tag: str) -> None:
    visitor = town.visitor()
    visitor.get("/my/sign-in")
    visitor.post("/my/language", language=tag, next="https://elsewhere.example/")
    assert '<html lang="en" dir="ltr">' in visitor.text
    assert visitor.status == 200


def test_a_choice_that_no_page_of_ours_sent_is_refused(town: Town) -> None:
    visitor = town.visitor()
    visitor.get("/my/sign-in")
    visitor.post("/my/language", token="strange", language="ar", next="/my")
    assert visitor.status == 403


def test_a_code_comes_in_the_customers_language(town: Town) -> None:
    customer = town.home("M1")
    town.bill("M1")
    town.sql("update public.customers set language = 'es' where id = %s", customer)
    visitor = town.confirmed("M1")
    assert "es el código para su página" in town.mail_to("m1@post.example")
    assert '<html lang="es"' in visitor.get("/my")
