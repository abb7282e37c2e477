"""Headings of other people's files: which column is meant, and which is nobody's."""

import pytest

from services.importing.columns import LEFT_OUT, WantedColumns, heading_key
from services.importing.kinds import COLUMNS_OF, TableKind


def fields_of(kind: TableKind, *headings: str, **said: str) -> list[str | None]:
    columns = COLUMNS_OF[kind]
    wanted = WantedColumns(columns.required, columns.optional, columns.prefix, said)
    return wanted.fields_of(headings)


@pytest.mark.parametrize(
    ("kind", "headings", "fields"),
    [
        (
            "customers",
            ("Account No.", "CUSTOMER NAME", "E-Mail", "Mobile No", "Postal Address"),
            ["account_no", "name", "email", "phone", "address"],
        ),
        (
            "meters",
            ("Meter No", "Consumer No.", "Tariff", "Type", "Digits", "MF", "Initial reading"),
            [
                *("serial", "account_no", "tariff_code", "kind", "dials", "multiplier"),
                "opening_kwh",
            ],
        ),
        (
            "readings",
            ("Meter Number", "Reading Date", "Reading (kWh)", "register:peak"),
            ["meter_serial", "read_at", "reading_kwh", "register:peak"],
        ),
        ("supplies", ("Transformer", "From", "To", "kWh"), list(COLUMNS_OF["supplies"].required)),
        ("customers", ("Zone", "", "name"), [None, None, "name"]),
    ],
)
def test_usual_headings_are_known(
    kind: TableKind, headings: tuple[str, ...], fields: list[str | None]
) -> None:
    assert fields_of(kind, *headings) == fields


def test_an_exact_name_comes_before_a_usual_one() -> None:
    assert fields_of("customers", "Customer", "name") == [None, "name"]
    assert fields_of("customers", "Customer", "Client") == ["name", None]


def test_what_was_said_comes_first_also_that_a_column_is_left_out() -> None:
    assert fields_of("customers", "Konto", "name", konto="account_no", name=LEFT_OUT) == [
        "account_no",
        None,
    ]


def test_a_heading_is_the_same_in_another_spelling() -> None:
    assert heading_key("Straße_Nr. ") == heading_key("STRASSE nr")
    assert heading_key("ＡＢ") == "ab"
    assert heading_key("खाता संख्या") != heading_key("नाम")


@pytest.mark.parametrize("kind", COLUMNS_OF)
def test_no_usual_name_is_claimed_by_a_column_that_is_not_of_the_kind(kind: TableKind) -> None:
    columns = COLUMNS_OF[kind]
    names = [*columns.required, *columns.optional]
    assert fields_of(kind, *names) == names
    assert fields_of(kind, *(name.upper().replace("_", " ") for name in names)) == names
