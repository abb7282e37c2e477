"""A file's numbers: the decimal sign is shown by the file or said by a person, never guessed."""

import pytest

from services.importing.numbers import NumberStyle
from services.importing.source import UnreadableFile
from services.importing.table import read_table
from services.quantities.written_numbers import AmbiguousNumber, DecimalSign


def numbers_of(*cells: str, decimal: DecimalSign | None = None) -> tuple[list[str], list[str]]:
    """What a file with semicolons and these cells is read as, and what is said of them."""
    text = "name;kwh\n" + "".join(f"x;{cell}\n" for cell in cells)
    table = read_table(text, required=("name", "kwh"), numbers=("kwh",), decimal=decimal)
    return [row.values["kwh"] for row in table.rows()], [str(p) for p in table.problems]


def test_a_number_that_may_be_two_is_refused_with_the_way_out() -> None:
    read, problems = numbers_of("1.000", "1.117", "900")
    assert read == ["900"]
    told = "nothing in the file tells. Say which sign is the decimal one, point or comma."
    assert problems == [
        f"row 2, kwh: 1.000 may be 1000 or 1.000: {told}",
        f"row 3, kwh: 1.117 may be 1117 or 1.117: {told}",
    ]


def test_a_comma_that_may_group_thousands_is_refused_too() -> None:
    assert numbers_of("1,117")[0] == []


@pytest.mark.parametrize(
    ("cells", "read"),
    [
        (("1.117", "1117,5"), ["1117", "1117.5"]),
        (("1.117", "1.234.567"), ["1117", "1234567"]),
        (("1.117", "1.117,25"), ["1117", "1117.25"]),
        (("1.117", "0,125"), ["1117", "0.125"]),
        (("1.117", "1117.5"), ["1.117", "1117.5"]),
        (("1.117", "1,234.5"), ["1.117", "1234.5"]),
        (("1.117", "0.125"), ["1.117", "0.125"]),
        (("1.117", "11117.125"), ["1.117", "11117.125"]),
        (("1\u00a0117,5", "1\u202f234\u202f567,25"), ["1117.5", "1234567.25"]),
        (("1117", "", "n/a"), ["1117", "", "n/a"]),
    ],
)
def test_one_clear_number_tells_for_the_file(cells: tuple[str, ...], read: list[str]) -> None:
    assert numbers_of(*cells) == (read, [])


@pytest.mark.parametrize(
    ("decimal", "read"), [("point", ["1.117", "1000"]), ("comma", ["1117", "1.000"])]
)
def test_a_person_can_say_it(decimal: DecimalSign, read: list[str]) -> None:
    assert numbers_of("1.117", "1,000", decimal=decimal) == (read, [])


def test_what_does_not_fit_the_sign_that_was_said_is_refused() -> None:
    read, problems = numbers_of("1117.5", decimal="comma")
    assert read == []
    assert "1117.5 is no number with a decimal comma" in problems[0]


def test_a_file_that_writes_both_ways_is_refused_as_a_whole() -> None:
    with pytest.raises(UnreadableFile, match=r"decimal point \(5\.25\), others a decimal comma"):
        numbers_of("5.25", "7,5")


def test_with_commas_between_the_cells_a_point_is_the_decimal_sign() -> None:
    table = read_table("kwh,b\n1.117,x\n", required=("kwh", "b"), numbers=("kwh",))
    assert [row.values["kwh"] for row in table.rows()] == ["1.117"]


def test_the_prefixed_columns_are_numbers_too() -> None:
    text = "kwh;register:peak\n1117,5;1.430\n"
    table = read_table(text, required=("kwh",), prefix="register:", numbers=("kwh",))
    assert [dict(row.values) for row in table.rows()] == [
        {"kwh": "1117.5", "register:peak": "1430"}
    ]


def test_no_text_is_changed_that_is_no_number() -> None:
    style = NumberStyle("comma")
    for text in ("", "abc", "1,2,3,x", "12. May", "-5"):
        assert style.plain(text) == text
    with pytest.raises(AmbiguousNumber):
        style.plain("1.2,3.4")


def test_numbers_beside_the_names_of_registers_are_asked_about_too() -> None:
    assert numbers_of("peak=1.000 off_peak=300 max_kw")[1][0].startswith(
        "row 2, kwh: 1.000 may be 1000 or 1.000"
    )
    assert numbers_of("peak=1.000 off_peak=300,5") == (["peak=1000 off_peak=300.5"], [])


@pytest.mark.parametrize(
    ("cells", "read"),
    [
        (('"1,117.00"', "5.5"), ["1117.00", "5.5"]),
        (('"1.117,00"', '"5,5"'), ["1117.00", "5.5"]),
        (('"1,117.00"', "1.117"), ["1117.00", "1.117"]),
        (('"1.117,00"', "1.117"), ["1117.00", "1117"]),
    ],
)
def test_a_number_between_quotation_marks_may_hold_a_comma(
    cells: tuple[str, ...], read: list[str]
) -> None:
    text = "name,kwh\n" + "".join(f"x,{cell}\n" for cell in cells)
    table = read_table(text, required=("name", "kwh"), numbers=("kwh",))
    assert [row.values["kwh"] for row in table.rows()] == read
    assert not table.problems


def test_a_comma_between_quotation_marks_is_asked_about_where_nothing_tells() -> None:
    table = read_table('name,kwh\nx,"1,117"\n', required=("name", "kwh"), numbers=("kwh",))
    assert list(table.rows()) == []
    assert "may be" in table.problems[0].message
    assert table.asks == {"decimal"}
