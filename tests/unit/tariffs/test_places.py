"""Each problem of a tariff as a sentence with the place as people see it, never with a path."""

# ruff: noqa: E501 - each sentence stays whole

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from services.languages.catalogues import OFFERED
from services.languages.language import Language
from services.languages.sentence import Sentence
from services.languages.writing import Capitalized
from services.tariffs import InvalidTariff, Tariff, Window, parse_tariff, places
from services.tariffs.checks import problems as checks_problems
from services.tariffs.places import place_in_words, problem_in_words, steps_of
from services.tariffs.values import Frozen, _decimal_text

CHECKS = Path(checks_problems.__file__).parent
VALUES = CHECKS.parent / "values.py"
HEAD = {"code": "T", "name": "T", "currency": "INR", "effective_from": "2025-04-01"}
ENERGY = {"code": "energy", "description": "Energy", "kind": "energy", "rate": "1"}
TOU = {
    "periods": {
        "peak": [{"from": "18:00", "to": "22:00"}],
        "off": [{"from": "22:00", "to": "18:00"}],
    }
}
NETTED = {"net_metering": {"surplus": "paid", "settled_in": 3}}
SURPLUS = {"kind": "energy", "quantity": "settled_kwh", "rate": "-2"}
NUMBER = "must be a number such as 3.25, with at most 12 digits on each side of the point"


def charge(**fields: Any) -> dict[str, Any]:
    """A tariff of the energy charge with other fields; None takes one out."""
    changed = ENERGY | fields
    return HEAD | {"charges": [{k: v for k, v in changed.items() if v is not None}]}


def slabs(*slabs: Any, **fields: Any) -> dict[str, Any]:
    return charge(rate=None, slabs=list(slabs), **({"slab_limits_per": "bill"} | fields))


def with_other(other: dict[str, Any], **rest: Any) -> dict[str, Any]:
    """A tariff of the energy charge and another one."""
    made = {"code": "other", "description": "Other"} | other
    return HEAD | {"charges": [ENERGY, made]} | rest


def by_hours(other: dict[str, Any] | None = None, **rest: Any) -> dict[str, Any]:
    priced = {"calendar": "tou", "rate": None, "rates": {"peak": "1", "off": "1"}} | (other or {})
    return charge(**priced) | {"calendars": {"tou": TOU}} | rest


def hours(periods: dict[str, Any], **rest: Any) -> dict[str, Any]:
    priced = charge(calendar="tou", rate=None, rates=dict.fromkeys(periods, "1"))
    return priced | {"calendars": {"tou": {"periods": periods}}} | rest


FIXED = {"kind": "fixed", "amount": "1"}
PERCENT = {"kind": "percent", "percent": "5"}
FACTOR = {"kind": "power_factor", "target": "0.9", "percent_per_point": "1", "of": ["energy"]}
DEMAND = {"kind": "demand", "quantity": "kw"}
SPARE = [{"up_to_kwh": "5", "rate": "1"}, {"rate": "2"}]

SAID: list[tuple[dict[str, Any], str]] = [
    (charge(rate="3.l5"), f"Energy: the rate {NUMBER}."),
    (
        slabs({"up_to_kwh": "x", "rate": "1"}, {"rate": "2"}),
        f"Energy: the first slab's upper limit {NUMBER}.",
    ),
    (
        slabs({"up_to_kwh": "5", "rate": "a"}, {"rate": "2"}),
        f"Energy: the first slab's rate {NUMBER}.",
    ),
    (
        slabs({"up_to_kwh": "0", "rate": "1"}, {"rate": "2"}),
        "Energy: the first slab's upper limit must be more than 0.",
    ),
    (slabs({"rate": "-1"}), "Energy: the first slab's rate cannot be negative."),
    (
        charge(rate=1),
        'Energy: the rate must be a text of decimals such as "0.10": a JSON number is not exact.',
    ),
    (
        slabs(*SPARE[:1], *SPARE),
        "Energy: the second slab's upper limit must be more than the limit of the slab before it.",
    ),
    (
        slabs({"up_to_kwh": "5", "rate": "1"}),
        "Energy: the first slab's upper limit must be left out of the last slab, which takes all the rest.",
    ),
    (
        slabs({"rate": "1"}, {"rate": "2"}),
        "Energy: the first slab's upper limit is missing: only the last slab can be without one.",
    ),
    (slabs(), "Energy: the slabs must have at least one slab."),
    (
        slabs(*SPARE, slab_limits_per=None),
        'Energy: the period of the slab limits must say "bill", "month", "day" or "kw".',
    ),
    (
        charge(slab_limits_per="bill"),
        "Energy: the period of the slab limits can only go with slabs.",
    ),
    (
        charge(tiers="pooled"),
        "Energy: the way that periods and slabs go together can only go with slabs by period.",
    ),
    (
        charge(slabs=SPARE, slab_limits_per="bill"),
        'Energy: the charge must have exactly one price: "rate", "slabs", "rates" or "period_slabs".',
    ),
    (
        charge(calendar="tou") | {"calendars": {"tou": TOU}},
        "Energy: the calendar can only go with prices by period.",
    ),
    (by_hours({"calendar": None}), "Energy: the calendar must name the calendar of the periods."),
    (
        by_hours({"calendar": "x"}),
        "Energy: the calendar is x, which is not a calendar of this tariff.",
    ),
    (
        by_hours({"rates": {"peak": "1"}}),
        "Energy: the rate in off is missing: it is a period of the calendar tou.",
    ),
    (
        by_hours({"rates": {"peak": "1", "off": "1", "day": "1"}}),
        "Energy: the rate in day is not needed: day is not a period of the calendar tou.",
    ),
    (
        by_hours(
            {
                "rates": None,
                "period_slabs": {"peak": SPARE, "off": SPARE},
                "slab_limits_per": "bill",
            }
        ),
        'Energy: the way that periods and slabs go together must say "pooled" or "per_period".',
    ),
    (
        by_hours(
            {
                "rates": None,
                "tiers": "pooled",
                "period_slabs": {"peak": SPARE, "off": SPARE[1:]},
                "slab_limits_per": "bill",
            }
        ),
        "Energy: the slabs in off must have the limits of peak: the periods fill the slabs together.",
    ),
    (
        by_hours(
            {
                "rates": None,
                "tiers": "per_period",
                "period_slabs": {"peak": SPARE, "off": [{"rate": "x"}]},
                "slab_limits_per": "bill",
            }
        ),
        f"Energy: the first slab's rate in off {NUMBER}.",
    ),
    (
        slabs(*SPARE, changes=[{"from": "2025-06-01", "rate": "1"}]),
        "Energy: the changes can only go with a rate.",
    ),
    (charge(changes=[]), "Energy: the changes must have at least one change."),
    (
        charge(changes=[{"from": "2025-01-01", "rate": "1"}]),
        "Energy: the first change's date must be after 2025-04-01.",
    ),
    (
        charge(changes=[{"from": "1 June", "rate": "1"}]),
        "Energy: the first change's date must be a date such as 2025-04-01.",
    ),
    (charge(when={}), "Energy: the condition must have a bound of kWh or of the connected load."),
    (
        charge(when={"kwh_above": "5"}),
        'Energy: the period of time of the condition must say "bill", "month" or "day".',
    ),
    (
        charge(when={"load_kw_above": "5", "per": "bill"}),
        "Energy: the period of time of the condition can only go with bounds of kWh.",
    ),
    (
        charge(when={"kwh_above": "5", "kwh_up_to": "4", "per": "bill"}),
        "Energy: the upper bound of kWh of the condition must be more than the lower bound.",
    ),
    (
        charge(months={}),
        "Energy: the count of months is not needed: nothing in this charge is counted in months.",
    ),
    (
        charge() | {"months": {"one_within_days": [9, 8]}},
        "The days that make one month of the count of months must have the fewest days first.",
    ),
    (
        charge() | {"months": {"count": "one", "places": 2}},
        'The decimals of the count of months cannot go with "one": a period is then 1 month always.',
    ),
    (
        with_other(FIXED | {"per": "month"}),
        'Other: the part of a month must say "days" or "none" for an amount per month.',
    ),
    (
        with_other(FIXED | {"per": "day", "proration": "days"}),
        "Other: the part of a month can only go with an amount per month.",
    ),
    (
        with_other(FIXED | {"per": "bill", "days_as": "actual"}),
        "Other: the count of days can only go with an amount per day.",
    ),
    (
        with_other(FACTOR | {"target": "1.5"}),
        "Other: the target power factor must be at most 1, in steps of 0.01.",
    ),
    (
        with_other(FACTOR | {"below": [{"pf": "0.95", "percent_per_point": "2"}]}),
        "Other: the first step's power factor must be below the step before it.",
    ),
    (
        with_other(FACTOR | {"bonus_above": "0.95"}),
        "Other: the power factor of the bonus can only go with a bonus.",
    ),
    (
        with_other(FACTOR | {"bonus_above": "0.8", "bonus_percent_per_point": "1"}),
        "Other: the power factor of the bonus cannot be below the target.",
    ),
    (
        with_other(PERCENT | {"percent": "100", "gross_up": True, "of": ["energy"]}),
        "Other: the percent must be below 100 in a gross-up: no amount contains all of itself.",
    ),
    (
        with_other(PERCENT | {"of": []}),
        "Other: the choice of charges must name at least one charge.",
    ),
    (
        with_other(PERCENT | {"of": ["fuel"]}),
        "Other: the first charge of its choice is fuel, which is not a charge of this tariff.",
    ),
    (
        with_other(PERCENT | {"of": ["energy", "energy"]}),
        "Other: the second charge of its choice is energy, which is named twice.",
    ),
    (
        with_other(PERCENT | {"of": ["other"]}),
        "The tariff has a circle of percents: other → other.",
    ),
    (
        with_other(DEMAND | {"rate": "1", "free_per_kw": "1"}),
        "Other: the free kVAr for each kW can only go with kVAr.",
    ),
    (
        with_other(DEMAND | {"rate": "1", "free_per_kw": "x", "quantity": "kvar"}),
        "Other: the free kVAr for each kW must be a number such as 0.5, or a fraction such as 1/3.",
    ),
    (
        with_other(DEMAND | {"rate": "1", "ratchet": {"percent": "101", "months": 11}}),
        "Other: the percent of the ratchet cannot be more than 100.",
    ),
    (
        with_other(DEMAND | {"rate": "1", "ratchet": {"percent": "80", "months": 0}}),
        "Other: the months of the ratchet must be greater than or equal to 1.",
    ),
    (
        with_other(DEMAND | {"slabs": [{"up_to_kw": "x", "rate": "1"}, {"rate": "1"}]}),
        f"Other: the first slab's upper limit {NUMBER}.",
    ),
    (
        with_other(
            DEMAND | {"calendar": "tou", "rates": {"peak": "1", "off": "1"}, "quantity": "kvar"},
            calendars={"tou": TOU},
        ),
        "Other: the quantity can only go with seasons: kVAr are not known by the hours of tou.",
    ),
    (
        with_other({"kind": "tax"}),
        'Other: the charge must say its kind: "energy", "fixed", "demand", "power_factor", "reactive", "percent" or "minimum".',
    ),
    (with_other(ENERGY), "Energy: the code is energy, which an earlier charge has already."),
    (
        charge(code="rounding") | {"rounding": {}},
        "Energy: the code is rounding, the code of a line that rounding makes.",
    ),
    (HEAD | {"charges": []}, "The tariff must have at least one charge."),
    (
        charge() | {"rounding": {"total": {"to": "0.005"}}},
        "The step of the rounding of the total must be a multiple of 0.01, the smallest amount of the currency.",
    ),
    (
        charge() | {"currency": "RUPEES"},
        "The currency 'RUPEES' is not a currency code of ISO 4217, such as INR.",
    ),
    (
        charge() | {"billing_period": {"min_days": 9, "max_days": 8}},
        "The most days of the billing period cannot be below the fewest days.",
    ),
    (
        charge()
        | {"billing_period": {"min_days": 8, "max_days": 9, "usual_days": 10, "beyond": "scale"}},
        "The usual days of the billing period must be from the fewest to the most days.",
    ),
    (
        charge() | {"billing_period": {"min_days": 8, "max_days": 9, "beyond": "scale"}},
        "The usual days of the billing period must say how many days one bill is for.",
    ),
    (
        charge() | {"billing_period": {"min_days": 8, "max_days": 9, "usual_days": 8}},
        "The usual days of the billing period can only go with bills that are scaled.",
    ),
    (
        charge() | {"holidays": ["2025-01-01", "2025-01-01"]},
        "The second holiday is 2025-01-01, which is named twice.",
    ),
    (
        hours({"a": [{"days": ["weekday", "weekend"]}], "b": [{"days": ["holiday"]}]}),
        "The holidays must be listed: the calendar tou has a price for holidays.",
    ),
    (hours({}), "The calendar tou: the periods must have at least one period."),
    (
        by_hours() | {"calendars": {"tou": TOU | {"order": ["peak"]}}},
        "The calendar tou: the order must name each period once: peak, off.",
    ),
    (hours({"a": []}), "The calendar tou: the period a must have at least one window of time."),
    (
        hours({"a": [{"seasons": ["x"], "months": [1]}]}),
        "The calendar tou: the first row of a has seasons or months, not both.",
    ),
    (
        hours({"a": [{"days": []}]}),
        "The calendar tou: the first row of a: the days must name at least one; leave it out for all.",
    ),
    (
        hours({"a": [{"seasons": ["x"]}]}),
        "The calendar tou: the first row of a: the first of the seasons is x, which is not a season of this tariff.",
    ),
    (
        hours({"a": [{"from": "06:00", "to": "06:00"}]}),
        "The calendar tou: the first row of a: the beginning must be another time of the day than its end.",
    ),
    (
        hours({"a": [{"from": "6 am"}]}),
        "The calendar tou: the first row of a: the beginning must be a full or half hour such as 06:30, up to 24:00.",
    ),
    (
        hours({"peak": [{"from": "06:00"}], "off_peak": [{"to": "07:00"}]}),
        "The calendar tou: the first row of off peak is in peak already: all year, all days, 06:00 to 07:00.",
    ),
    (
        hours({"a": [{"from": "06:00"}]}),
        "The calendar tou: the periods leave half hours without a period: all year, all days, 00:00 to 06:00.",
    ),
    (
        charge() | {"seasons": {"dry": {"from": "31-12", "to": "03-31"}}},
        "The season dry's first day must be a day of the year such as 04-01, the month first.",
    ),
    (
        charge() | NETTED,
        "The surplus of the net metering is paid, and no charge has its rate: add one for surplus paid out.",
    ),
    (
        with_other(SURPLUS) | {"net_metering": {"surplus": "lapses"}},
        "The surplus of the net metering lapses, and a charge pays it out: leave one of the two.",
    ),
    (
        with_other(SURPLUS),
        "Other: the quantity can only go with net metering: nothing else banks kWh.",
    ),
    (
        with_other(SURPLUS | {"slabs": [{"rate": "1"}], "rate": None}) | NETTED,
        "Other: the slabs cannot go with surplus that is paid out: it has one rate.",
    ),
    (
        with_other(SURPLUS | {"quantity": "export_kwh"}) | NETTED,
        "Other: the quantity cannot go with net metering: what is exported is netted.",
    ),
    (
        charge(quantity="kvah") | NETTED,
        "The net metering needs a charge for kWh: it is what exports offset.",
    ),
    (
        by_hours()
        | NETTED
        | {
            "calendars": {"tou": TOU, "other": TOU},
            "charges": [
                by_hours()["charges"][0],
                by_hours()["charges"][0] | {"code": "b", "calendar": "other"},
            ],
        },
        "Energy: the calendar must be the calendar by which the other energy is netted.",
    ),
    (
        charge() | {"net_metering": {"surplus": "paid", "settled_in": 13}},
        "The month of settlement of the net metering must be less than or equal to 12.",
    ),
    (charge() | {"colour": "red"}, "The colour is not a field of this format."),
    (charge(description=None), "The first charge: the description is missing."),
    (
        charge(description="long " * 50),
        f"Long {'long ' * 10}long…: the description must have at most 200 characters.",
    ),
    (charge(description=7), "The first charge: the description must be text."),
    (
        charge(code="a b"),
        'Energy: the code has a space; letters from A to Z, digits, "_", "." and "-" are allowed.',
    ),
    (
        charge(code="énergie"),
        'Energy: the code has "é"; letters from A to Z, digits, "_", "." and "-" are allowed.',
    ),
    (
        charge(code="a\x07"),
        (
            'Energy: the code has a sign that cannot be printed; letters from A to Z, digits, "_", "." '
            'and "-" are allowed.'
        ),
    ),
    (charge(code=""), "Energy: the code is empty."),
    (charge(code="-a"), "Energy: the code must begin with a letter or a digit."),
    (charge(code="a" * 65), "Energy: the code must have at most 64 characters."),
    (
        charge(description="Energy\n"),
        "Energy: the description has a sign that cannot be printed, such as a line break.",
    ),
    (charge(tax="yes"), "Energy: the mark as a tax must be true or false."),
    (
        charge(names={"French": "Énergie"}),
        "Energy: the name in French is for no language: write its tag, such as es or hi.",
    ),
    (
        charge(names={"fr": "é" * 201}),
        "Energy: the name in Français must have at most 200 characters.",
    ),
    (charge(names={"fr": ""}), "Energy: the name in Français is empty."),
    (charge(slabs={"a": 1}, rate=None), "Energy: the slabs must be a list."),
    (
        charge() | {"months": {"places": "2"}},
        "The decimals of the count of months must be a whole number.",
    ),
    (
        charge() | {"months": {"one_within_days": [27, 33, 40]}},
        "The days that make one month of the count of months must have at most 2 entries.",
    ),
    (charge() | {"months": 7}, "The count of months must be an object with named fields."),
    (charge() | {"seasons": 7}, "The seasons must be an object with named fields."),
    (
        by_hours({"quantity": "kvarh"}),
        "Energy: the quantity can only go with seasons: kVArh are not known by the hours of tou.",
    ),
    (
        by_hours({"kind": "demand", "quantity": "kw", "ratchet": {"percent": "80", "months": 3}}),
        "Energy: the ratchet can only go with seasons: past peaks are not known by the hours of tou.",
    ),
    (
        charge() | {"rounding": {"total": {"mode": "sideways"}}},
        "The mode of the rounding of the total must be 'half_up', 'half_even', 'down' or 'up'.",
    ),
    (
        hours({"a": [{"months": [1, *range(3, 13)]}]}),
        "The calendar tou: the periods leave half hours without a period: 1 Feb to 29 Feb, all days, all day.",
    ),
    (
        with_other({"kind": "minimum", "amount": "5", "per": "bill", "of": ["third"]})
        | {
            "charges": [
                ENERGY,
                {"code": "a", "description": "A", **PERCENT, "of": ["b"]},
                {
                    "code": "b",
                    "description": "B",
                    "kind": "minimum",
                    "amount": "5",
                    "per": "bill",
                    "of": ["a"],
                },
            ]
        },
        "The tariff has a circle of charges: ",
    ),
]


def said_of(tariff: Any) -> list[str]:
    with pytest.raises(InvalidTariff) as refused:
        parse_tariff(tariff)
    return [problem_in_words(tariff, problem) for problem in refused.value.problems]


@pytest.mark.parametrize(("tariff", "sentence"), SAID, ids=[said for _, said in SAID])
def test_a_problem_is_a_sentence(tariff: dict[str, Any], sentence: str) -> None:
    said = said_of(tariff)
    assert any(one.startswith(sentence) for one in said), said


def test_no_sentence_has_a_path() -> None:
    for tariff, _ in SAID:
        for sentence in said_of(tariff):
            # What stands in quotes is what is to be written in the file.
            unquoted = re.sub(r"\"[^\"]*\"|'[^']*'", "", sentence)
            assert not re.search(r"\[\d|\w_\w|[a-z]\.[a-z]|\{", unquoted), sentence


def test_every_text_of_every_check_is_among_the_sentences() -> None:
    said = "\n".join(sentence for tariff, _ in SAID for sentence in said_of(tariff))
    texts = [text for path in sorted(CHECKS.glob("*.py")) for text in texts_of(path)]
    missing = [text for text in {*texts, *texts_of(VALUES)} if text not in said]
    assert not missing


def texts_of(path: Path) -> Iterator[str]:
    """The parts of sentences in a file's code: what has at least three words, docstrings apart."""
    tree = ast.parse(path.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docs = {ast.get_docstring(n, clean=False) for n in ast.walk(tree) if isinstance(n, documented)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value not in docs
        ):
            # Between the places of a sentence.
            for part in re.split(r"\{\w+\}", node.value):
                text = part.strip(" :;,")
                if len(text.split()) >= 3 and not text.startswith(("This tariff cannot", "$", "^")):
                    yield text


def test_places_are_found_where_names_hold_dots_and_lists_are_short() -> None:
    tariff = {"charges": [{"rates": {"a.b": "1"}}], "calendars": {"a.b": {"periods": {"p": []}}}}
    assert list(steps_of(tariff, "charges[0].rates.a.b")) == ["charges", 0, "rates", "a.b"]
    assert place_in_words(tariff, "calendars.a.b.periods.p[3].from") == (
        "the calendar a.b: the fourth row of p: the beginning"
    )
    assert place_in_words(tariff, "charges[7].rate") == "The eighth charge: the rate"
    assert place_in_words([], "charges[0].rate") == "The first charge: the rate"
    assert place_in_words(None, "") == "the tariff"


def untranslated(said: object, spoken: Language) -> Iterator[str]:
    """The texts of a sentence, and of the sentences in it, that a language does not have."""
    if isinstance(said, Capitalized):
        yield from untranslated(said.said, spoken)
    if isinstance(said, Sentence):
        if re.search(r"[a-z]{2}", re.sub(r"\{\w+\}", "", said.text)) and (
            said.text not in spoken.catalogue._catalog  # type: ignore[attr-defined]
        ):
            yield said.text
        for value in said.values.values():
            yield from untranslated(value, spoken)


@pytest.mark.parametrize("tag", [tag for tag in OFFERED if tag != "en"])
def test_each_problem_is_said_in_every_language(tag: str) -> None:
    spoken = Language.of(tag)
    for tariff, _ in SAID:
        with pytest.raises(InvalidTariff) as refused:
            parse_tariff(tariff)
        for problem in refused.value.problems:
            said = problem_in_words(tariff, problem)
            assert list(untranslated(said, spoken)) == [], problem
            assert spoken.say(said) != said, problem


def test_each_field_of_a_tariff_is_called_something() -> None:
    models: list[type[Frozen]] = [Tariff, Window, *_inside(Tariff)]
    fields = {
        str(field.alias or name) for model in models for name, field in model.model_fields.items()
    }
    assert len(fields) > 60
    named = {name.rpartition(".")[2] for name in (*places._NAMES, *places._IN_WINDOW)}
    assert fields - named == set(), "name it in services/tariffs/places.py"


def _inside(model: type[Frozen]) -> Iterator[type[Frozen]]:
    """The models that the fields of one hold."""
    for field in model.model_fields.values():
        for held in _models(field.annotation):
            yield held
            yield from _inside(held)


def _models(annotation: Any) -> Iterator[type[Frozen]]:
    if isinstance(annotation, type) and issubclass(annotation, Frozen):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def test_a_problem_in_spanish_names_its_place_and_the_tariffs_own_words() -> None:
    tariff = slabs({"up_to_kwh": "5", "rate": "a"}, {"rate": "2"})
    (problem,) = said_problems(tariff)
    assert Language.of("es").say(problem_in_words(tariff, problem)) == (
        "Energy › tramo n.º 1 › precio: debe ser un número como 3.25, con un máximo de 12 dígitos a "
        "cada lado del punto."
    )
    assert (
        Language.of("es")
        .say(problem_in_words(tariff, problem, beside=True))
        .startswith("Tramo n.º 1 › precio: debe")
    )


def said_problems(tariff: Any) -> list[Any]:
    with pytest.raises(InvalidTariff) as refused:
        parse_tariff(tariff)
    return refused.value.problems


def test_what_cannot_be_read_is_said_as_it_is() -> None:
    assert problem_in_words(None, ("", "This is not JSON.")) == "This is not JSON."
    assert problem_in_words({}, ("", "and 3 more")) == "And 3 more."
    huge = json.loads("[" + ",".join(["1"] * 20_001) + "]")
    assert said_of(HEAD | {"charges": huge}) == [
        "The tariff holds more than 20,000 values, as no tariff does."
    ]
    with pytest.raises(ValueError, match="a JSON number"):
        _decimal_text(1)
