"""Lines of bills in a customer's language: the tariff's own names, the usual ones, and the rest."""

import re
import unicodedata
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.bill_documents.charge_names import ChargeNames, names_of
from services.bill_documents.content import content_of
from services.bill_documents.line_names import USUAL, ChargeName, line_name, line_note
from services.languages.language import Language
from services.rating import BillLine
from services.tariffs import parse_tariff
from tests.unit.bill_documents import bills, printed

LINE = BillLine(
    "energy", "Energy charge", tax=False, quantity="1", unit="kWh", rate="1", amount_minor=1
)
TARIFF = {
    "code": "HOME",
    "name": "Homes",
    "currency": "INR",
    "effective_from": "2025-04-01",
    "charges": [
        {
            "code": "energy",
            "description": "Power",
            "names": {"fr": "Courant", "ar": "التيار"},
            "kind": "energy",
            "rate": "4.80",
        },
        {
            "code": "rent",
            "description": "Meter rent",
            "kind": "fixed",
            "amount": "6",
            "per": "bill",
        },
    ],
}


def named(description: str, tag: str, names: tuple[ChargeName, ...] = ()) -> str:
    return line_name(replace(LINE, description=description), Language.of(tag), names)


@pytest.mark.parametrize("tag", ["es", "fr", "hi", "ar", "sw"])
def test_usual_names_are_said_in_each_language(tag: str) -> None:
    said = [named(name, tag) for name in USUAL]
    assert [
        name
        for name, own in zip(USUAL, said, strict=True)
        if name == own and name not in {"normal", "VAT"}
    ] == []


@pytest.mark.parametrize(
    ("description", "tag", "written"),
    [
        ("Energy charge", "en", "Energy charge"),
        ("Energy charge, 0 to 226.667 kWh", "fr", "Part énergie, 0 à 226,667 kWh"),
        ("Energy charge, above 1300 kWh", "es", "Cargo por energía, más de 1.300 kWh"),
        ("Electricity duty, 10% of the energy charge", "hi", "विद्युत शुल्क, ऊर्जा प्रभार का 10%"),
        ("Fixed charge, 3 kW", "sw", "Tozo isiyobadilika, 3 kW"),
        ("Energy charge, peak", "ar", "رسم الطاقة، وقت الذروة"),
        ("Feeder charge 69", "fr", "Feeder charge 69"),
        ("Energy charge, of our own making", "fr", "Part énergie, of our own making"),
    ],
)
def test_what_rating_adds_is_said_again_and_the_rest_stays(
    description: str, tag: str, written: str
) -> None:
    assert named(description, tag) == written


def test_notes_are_said_again() -> None:
    note = "19 of 30 days in June; at most this amount"
    assert line_note(note, Language.of("fr")) == "19 des 30 jours de juin; au plus ce montant"
    assert line_note(note, Language.of("en")) == note
    assert line_note("words of nobody", Language.of("ar")) == "words of nobody"


# Each as services/rating writes it.
NOTES = (
    "measured 50 kW; 80% of the highest of 11 months, 100 kW; 15 of 30 days in June",
    "measured 4.2 kVA; at least 10 kVA",
    "measured 4.26 kW; to 4.5 kW",
    "above 0.5 kVArh for each kW",
    "limits of the slabs for 6 of 30 days in June, 24 of 31 days in July",
    "limits of the slabs for 4.2 kW",
    "limits of the slabs for 1 day",
    "14 of 31 days of the bill",
    "31 of 60 days that a bill is for",
    "19 of 30 days, rounded to 0.63 months",
    "× 0.9742 months (6 of 30 days in June, 24 of 31 days in July)",
    "× 30 days",
    "× 2 bills",
    "6 of 30 days in June, a month being 365 ÷ 12 days",
    "× 1 month, a month being 365 ÷ 12 days",
    "3.5 months of the year",
    "a minimum of 500.00 less 83.57 charged; at most this amount",
    "7% of an amount that contains it: × 7 ÷ 93",
    "power factor 0.76, target 0.9",
)


@pytest.mark.parametrize("note", NOTES)
@pytest.mark.parametrize("tag", ["hi", "ar"])
def test_no_word_of_a_note_stays_in_english(note: str, tag: str) -> None:
    said = line_note(note, Language.of(tag))
    assert set(re.findall("[A-Za-z]+", said)) <= {"kW", "kVA", "kVArh"}
    assert sorted(re.findall("[0-9.]+[0-9]", said)) == sorted(re.findall("[0-9.]+[0-9]", note))


def test_the_names_of_a_tariff_come_before_the_usual_ones() -> None:
    names = names_of([parse_tariff(TARIFF)])
    assert named("Power", "fr", names["fr"]) == "Courant"
    assert named("Power, 0 to 50 kWh", "ar", names["ar"]) == "التيار، من 0 إلى 50 kWh"
    # Another charge that only begins alike, and a language that has no name.
    assert named("Powerful", "fr", names["fr"]) == "Powerful"
    assert named("Power", "es", names.get("es", ())) == "Power"


@pytest.mark.parametrize("names", [{"French": "x"}, {"fr": ""}, {"fr": "a\nb"}, {"fr": 1}, []])
def test_a_name_must_be_a_line_in_a_language(names: object) -> None:
    wrong = {**TARIFF, "charges": [{**TARIFF["charges"][0], "names": names}]}  # type: ignore[dict-item]
    with pytest.raises(Exception, match="names"):
        parse_tariff(wrong)


class Book:
    """Stands for the database: a tariff with its versions, and how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def published_versions(self, *, code: str) -> list[SimpleNamespace]:
        assert code == "HOME"
        self.asked += 1
        return [SimpleNamespace(tariff=parse_tariff(TARIFF))]


def test_names_are_looked_up_once_in_some_minutes() -> None:
    book, now = Book(), [0.0]
    names = ChargeNames(cast(Any, book), clock=lambda: now[0])
    bill = cast(Any, SimpleNamespace(tariff_code="HOME"))
    assert names.of(bill, "fr-CA") == (ChargeName("energy", "Power", "Courant"),)
    assert names.of(bill, "es") == ()
    assert book.asked == 1
    now[0] = 301.0
    assert names.of(bill, "ar")[0].name == "التيار"
    assert book.asked == 2


@pytest.mark.parametrize(("tag", "written"), [("ar", "التيار"), ("hi", "ऊर्जा प्रभार")])
def test_a_printed_bill_has_the_names_in_its_language(tag: str, written: str) -> None:
    names = (ChargeName("energy", "Power", written),)
    plain = bills.hindi()
    lines = (replace(LINE, description="Power, 0 to 50 kWh"), *plain.lines)
    bill = replace(plain, language=tag, lines=lines, charge_names=names)
    assert any(written in str(row["description"]) for row in content_of(bill)["lines"])
    shown = {unicodedata.normalize("NFKC", sign) for sign in printed.text_of(bill)}
    assert set(written) - shown == set()
