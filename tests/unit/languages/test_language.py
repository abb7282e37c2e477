"""A language writes values exactly and as its readers expect, and says sentences of anywhere."""

import pickle
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.languages.catalogues import OFFERED
from services.languages.language import Language, own_name, wanted
from services.languages.sentence import (
    ended,
    joined,
    joined_by_and,
    nsentence,
    sentence,
    sentence_of,
)
from services.languages.writing import Capitalized, DayOfYear, Month, Ordinal
from services.quantities.money import Money, exponent

for offered in OFFERED:
    # Reading a catalogue takes longer than a test may that is run many times.
    Language.of(offered)
languages = st.sampled_from((*OFFERED, "es-MX", "fr-CA", "ar-EG", "en-IN"))
# A catalogue takes longer to be read, once, than an example may take.
for _tag in OFFERED:
    Language.of(_tag)
currencies = st.sampled_from(("INR", "USD", "JPY", "KWD", "KES", "XOF", "MXN"))
amounts = st.integers(-(10**15), 10**15)
MARKS = re.compile(r"[\u200e\u200f\u061c\u2066-\u2069\s]")


def digits(text: str) -> str:
    return "".join(sign for sign in text if sign.isdecimal())


@given(tag=languages, currency=currencies, minor=amounts)
def test_an_amount_keeps_all_its_digits_in_every_language(
    tag: str, currency: str, minor: int
) -> None:
    written = Language.of(tag).money(Money(minor, currency))
    assert digits(written) == digits(Money(minor, currency).text)
    assert written.isascii() or all(s.isascii() or not s.isdecimal() for s in written)
    assert ("−" in written) == (minor < 0)


@given(tag=languages, thousandths=st.integers(-(10**14), 10**14))
def test_a_number_reads_back_to_itself(tag: str, thousandths: int) -> None:
    language, text = Language.of(tag), f"{Decimal(thousandths) / 1000:.3f}"
    point = language.locale.number_symbols["latn"]["decimal"]
    group = language.locale.number_symbols["latn"]["group"]
    plain = MARKS.sub("", language.number(text)).replace("−", "-")
    if not group.isspace():
        plain = plain.replace(group, "")
    assert Decimal(plain.replace(point, ".")) == Decimal(text)


@given(tag=languages, day=st.dates(date(1990, 1, 1), date(2200, 1, 1)))
def test_a_day_has_its_year_and_day_in_digits_of_0_to_9(tag: str, day: date) -> None:
    written = Language.of(tag).day(day)
    assert str(day.year) in written
    assert re.search(rf"(?<![0-9]){day.day:02}|(?<![0-9]){day.day}(?![0-9])", written)


@given(first=st.dates(date(2000, 1, 1), date(2099, 1, 1)), tag=st.sampled_from(OFFERED))
def test_two_days_are_never_written_alike(first: date, tag: str) -> None:
    second = date.fromordinal(first.toordinal() + 1)
    language = Language.of(tag)
    assert language.day(first) != language.day(second)


@pytest.mark.parametrize(
    ("tag", "amount", "day"),
    [
        ("en", "₹1,23,456.50", "3 Sep 2026"),
        ("hi", "₹1,23,456.50", "3 सित॰ 2026"),
        ("fr", "123\u202f456,50\xa0₹", "3 sept. 2026"),
        ("sw", "₹\xa0123,456.50", "3 Sep 2026"),
    ],
)
def test_amounts_and_days_as_each_place_has_them(tag: str, amount: str, day: str) -> None:
    language = Language.of(tag)
    assert language.money(Money(12345650, "INR")) == amount
    assert language.day(date(2026, 9, 3)) == day


def test_a_region_writes_its_own_numbers_in_the_words_of_its_language() -> None:
    mexico, spain = Language.of("es-MX"), Language.of("es")
    assert mexico.gettext("Electricity bill") == spain.gettext("Electricity bill")
    assert (mexico.number("1234567.5"), spain.number("1234567.5")) == ("1,234,567.5", "1.234.567,5")


@pytest.mark.parametrize("tag", ["", "xx", "ml", "th", "../etc", "e" * 500, "es/../../x"])
def test_a_language_without_a_catalogue_is_english(tag: str) -> None:
    assert Language.of(tag).tag == "en" or tag.startswith("es")
    assert Language.of(tag).direction == "ltr"


def test_arabic_runs_from_right_to_left() -> None:
    assert (Language.of("ar").direction, Language.of("ar-EG").is_right_to_left) == ("rtl", True)
    # The sign stays before its number.
    assert Language.of("ar").number("-1234.5") == "\u200e−1,234.5"


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        ("hi", "hi"),
        ("fr-CA,fr;q=0.9,en;q=0.8", "fr"),
        ("de, es;q=0.7, en;q=0.3", "es"),
        ("en;q=0.3, ar;q=0.9", "ar"),
        ("ml", "sw"),
        ("", "sw"),
        ("es;q=0", "sw"),
        ("*;q=nonsense, hi;q=what", "sw"),
        (";;;,,,", "sw"),
    ],
)
def test_the_browsers_wish_is_followed_as_far_as_it_goes(header: str, tag: str) -> None:
    assert wanted(header, otherwise="sw").tag == tag


def test_a_sentence_is_english_for_who_knows_nothing_of_it_and_said_again_elsewhere() -> None:
    said = sentence(
        "Thank you: we have received your payment of {amount} on {day}.",
        amount=Money(40000, "INR"),
        day=date(2026, 11, 20),
    )
    assert said == "Thank you: we have received your payment of ₹400.00 on 20 Nov 2026."
    french = Language.of("fr").say(said)
    assert french == "Merci : nous avons reçu votre paiement de 400,00\xa0₹ le 20 nov. 2026."
    assert Language.of("fr").say(pickle.loads(pickle.dumps(said))) == french  # noqa: S301


def test_an_error_is_said_by_its_sentence() -> None:
    error = ValueError(nsentence("{count} day", "{count} days", 3))
    assert (str(error), sentence_of(error)) == ("3 days", "3 days")
    assert Language.of("es").say(error) == "3 días"
    assert Language.of("es").say(ValueError("nobody translated {this}")) == (
        "nobody translated {this}"
    )


def test_nothing_stays_nothing() -> None:
    french = Language.of("fr")
    assert (french.gettext(""), french.say(""), french.say(ValueError())) == ("", "", "")


def test_a_sentence_within_a_sentence_is_said_too() -> None:
    inner = sentence("The phone number")
    said = sentence("{field} {problem}", field=inner, problem=sentence("is empty."))
    assert Language.of("es").say(said) == "El número de teléfono está vacío."


def test_parts_are_said_one_after_the_other() -> None:
    days = [nsentence("{count} day", "{count} days", 3), "{x}", Month(3)]
    said, several = joined(days, "; "), sentence("{all}", all=joined_by_and(days))
    assert (str(said), str(several)) == ("3 days; {x}; Mar", "3 days and {x} and Mar")
    spanish = Language.of("es")
    assert spanish.say(said) == "3 días; {x}; mar"
    assert spanish.say(several) == "3 días y {x} y mar"
    assert (joined([]), joined_by_and(["one"])) == ("", "one")


def test_days_and_months_of_every_year_have_none() -> None:
    said = sentence("{day}, {month}", day=DayOfYear(date(2000, 2, 29)), month=Month(9, full=True))
    assert said == "29 Feb, September"
    assert Language.of("fr").say(said) == "29 févr., septembre"


def test_positions_are_words_in_english_and_numbers_elsewhere() -> None:
    counted = [str(joined([Ordinal(n)])) for n in (1, 10, 11, 12, 21, 22, 111)]
    assert counted == ["first", "tenth", "11th", "12th", "21st", "22nd", "111th"]
    said = sentence("the {ordinal} {thing}", ordinal=Ordinal(2), thing=sentence("slab"))
    assert said == "the second slab"
    assert Language.of("es").say(said) == "tramo n.º 2"


def test_a_capital_stands_at_the_beginning_in_each_language() -> None:
    said = joined([Capitalized(sentence("the tariff")), Capitalized("écart"), Capitalized("")])
    assert said == "The tariff, Écart, "
    assert Language.of("fr").say(said) == "Tarif, Écart, "
    assert Language.of("hi").say(said).startswith("टैरिफ़")


def test_a_full_stop_is_put_where_there_is_none() -> None:
    assert (ended("done"), ended("Done.")) == ("done.", "Done.")
    assert Language.of("hi").say(ended(sentence("is empty"))) == "खाली है।"


def test_moments_are_local() -> None:
    at = datetime(2026, 11, 12, 8, 35, tzinfo=UTC)
    assert Language.of("en").moment(at, ZoneInfo("Asia/Kolkata")) == "12 Nov 2026, 14:05"


def test_languages_are_called_by_their_own_names() -> None:
    names = ["English", "Español", "Français", "हिन्दी", "العربية", "Kiswahili"]
    assert [Language.of(tag).name for tag in OFFERED] == names
    assert (own_name("th"), own_name("zz-zz-zz")) == ("ไทย", "zz-zz-zz")


@given(minor=st.integers(0, 10**9), currency=currencies)
def test_english_amounts_are_those_of_the_rest_of_the_system(minor: int, currency: str) -> None:
    amount = Money(minor, currency)
    assert Language.of("en").money(amount) == amount.display()
    assert exponent(currency) in {0, 2, 3}


def test_more_digits_than_decimals_are_computed_with_are_all_written() -> None:
    assert Language.of("es").number(f"1234.{'1' * 40}") == f"1.234,{'1' * 40}"


@pytest.mark.parametrize("value", [0, 7, 999, 1000, 1234567, -1000, "0.5", "1234.50", "-0.05"])
def test_a_sentence_writes_numbers_as_english_does(value: int | str) -> None:
    number = Decimal(value) if isinstance(value, str) else value
    assert sentence("{number}", number=number) == Language.of("en").number(str(value))
