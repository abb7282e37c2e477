"""What a file must be like: reading it, and saying by row what is wrong with it."""

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from services.importing import Importer
from services.importing.reads import READING_COLUMNS, by_meter, file_read
from services.importing.report import ImportProblem, ImportReport
from services.importing.rows import (
    CUSTOMER_COLUMNS,
    CUSTOMER_OPTIONS,
    METER_COLUMNS,
    customer_row,
    meter_row,
)
from services.importing.source import MOST_BYTES, Source, UnreadableFile, read_text
from services.importing.table import Cells, read_table
from services.importing.tariff_files import tariff_rows
from services.readings.submission import InvalidReading, parse_submission

KOLKATA = ZoneInfo("Asia/Kolkata")
NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
METER = {
    "serial": "M1",
    "account_no": "A1",
    "tariff_code": "T",
    "kind": "manual",
    "dials": "5",
    "multiplier": "",
    "opening_kwh": "1000.5",
    "opened_on": "2026-01-31",
}


def table_of(source: Source, required: tuple[str, ...] = ("a", "b")) -> list[dict[str, str]]:
    table = read_table(source, required=required)
    rows = [dict(cells.values) for cells in table.rows()]
    assert not table.problems, table.problems
    return rows


def problems_of(source: Source) -> list[str]:
    try:
        table = read_table(source, required=("a", "b"))
    except UnreadableFile as error:
        return [str(error.problem)]
    list(table.rows())
    return [str(problem) for problem in table.problems]


@pytest.mark.parametrize(
    "source",
    [
        "a,b\n1,2\n",
        "\ufeffa,b\r\n1,2\r\n",
        b"\xef\xbb\xbfa,b\n1,2",
        "a;b\n1;2\n",
        " A , B \n 1 , 2 \n",
        "b,a\n2,1\n",
        '"a","b"\n"1","2"\n',
        "\n\na,b\n\n,\n1,2\n\n",
        "a,b,\n1,2,\n",
    ],
)
def test_a_csv_is_understood_however_a_spreadsheet_writes_it(source: Source) -> None:
    assert table_of(source) == [{"a": "1", "b": "2"}]


def test_quotation_marks_hold_commas_quotes_and_line_breaks() -> None:
    rows = table_of('a,b\n"12, Canal ""New"" Road","two\nlines"\n')
    assert rows == [{"a": '12, Canal "New" Road', "b": "two\nlines"}]


def test_rows_are_numbered_as_a_spreadsheet_numbers_them() -> None:
    table = read_table('a,b\n"x\ny",1\n\n3,4\n', required=("a", "b"))
    assert [cells.row for cells in table.rows()] == [2, 4]


def test_more_columns_are_ignored_and_named() -> None:
    table = read_table("a,colour,b\n1,red,2\n", required=("a", "b"))
    assert table.ignored == ("colour",)
    assert next(table.rows()).values["b"] == "2"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "The file is empty."),
        ("\ufeff \n", "The file is empty."),
        (",,\n", "only blank lines"),
        ("a,b\n", "no rows below the header"),
        ("a,c\n1,2\n", "lacks the column b. It must name a, b."),
        ("x\n1\n", "lacks the columns a, b"),
        ("a,b,A\n1,2,3\n", "names a twice"),
        ("a,b\n1,2\n3\n", "row 3: has 1 cell where the header names 2"),
        ("a,b\n1,2,3\n", "row 2: has 3 cells where the header names 2"),
        ('a,b\n1,2\n"3,4\n', "row 3: a quotation mark is opened here and never closed"),
        ('a,b\n"1"x,2\n', "row 2: the quotation marks are not as CSV has them"),
        ("a,b\n1,2\n3,\0\n", "Line 3 holds a NUL byte"),
        (b"a,b\n1,2\n3,caf\x81\n", "Line 3 is not UTF-8 text"),
        (b"a,b\n1,2\n3,caf\xe9\0\n", "Line 3 is not UTF-8 text"),
        (f"a,b\n{'x' * 200_000},1\n", "row 2: a cell is longer than 100,000 characters"),
    ],
)
def test_a_file_that_cannot_be_read_says_what_to_do(source: Source, said: str) -> None:
    assert said in " ".join(problems_of(source))


def test_a_file_of_more_than_100_mb_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(UnreadableFile, match="larger than 100 MB"):
        read_text(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"none\.csv cannot be read: No such file"):
        read_text(tmp_path / "none.csv")


def meter(**other: str) -> tuple[dict[str, object], list[tuple[str, str]]]:
    problems: list[ImportProblem] = []
    row = meter_row(Cells(7, METER | other, problems), zone=KOLKATA, now=NOW)
    return row, [(p.column, p.message) for p in problems]


def test_a_meter_row_becomes_integers_and_the_start_of_its_local_day() -> None:
    row, problems = meter()
    assert problems == []
    assert (row["opening_wh"], row["multiplier_milli"], row["dials"]) == (1_000_500, 1000, 5)
    assert row["opened_at"] == "2026-01-30T18:30:00+00:00"
    assert row["row"] == 7


@pytest.mark.parametrize("column", ["serial", "account_no", "tariff_code", "transformer_code"])
@pytest.mark.parametrize("damaged", ["7.00012E+11", "7E+11", "7,00012e+11"])
def test_an_identifier_that_a_spreadsheet_shortened_is_refused(column: str, damaged: str) -> None:
    ((where, why),) = meter(**{column: damaged})[1]
    assert where == column
    assert f"{damaged} is a number that a spreadsheet shortened" in why


def test_the_database_makes_the_ids_of_a_meter() -> None:
    assert not {"id", "opening_reading_id"} & meter()[0].keys()


@pytest.mark.parametrize(
    "kind", ["manual", "Basic", "mechanical", "electronic", "digital", "analog"]
)
def test_every_kind_that_a_person_reads_is_manual(kind: str) -> None:
    assert meter(kind=kind)[0]["kind"] == "manual"
    assert meter(kind="SMART")[0]["kind"] == "smart"


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("serial", "", "is empty"),
        ("serial", "x" * 61, "longer than 60"),
        ("serial", "M\t1", "cannot be printed"),
        ("account_no", "", "is empty"),
        ("tariff_code", "", "is empty"),
        ("kind", "", "must be smart or one of"),
        ("kind", "gas", "not 'gas'"),
        ("dials", "0", "1 to 9"),
        ("dials", "10", "1 to 9"),
        ("dials", "five", "1 to 9"),
        ("multiplier", "0", "more than 0"),
        ("multiplier", "x", "must be a number"),
        ("multiplier", "1000001", "larger than any meter"),
        ("opening_kwh", "", "is missing"),
        ("opening_kwh", "-1", "cannot be negative"),
        ("opening_kwh", "nan", "must be a number"),
        ("opening_kwh", "1e400", "with all its digits"),
        ("opening_kwh", "1.0001", "at most 3 decimals"),
        ("opening_kwh", "100000", "shows 5 digits"),
        ("opened_on", "", "must be a date written as"),
        ("opened_on", "31/01/2026", "must be a date written as"),
        ("opened_on", "03/04/2026", "format yyyy-mm-dd"),
        ("opened_on", "\uff12026-03-01", "must be a date written as"),
        ("opened_on", "46082", "must be a date written as"),
        ("opening_kwh", "1O17", "must be a number"),
        ("opening_kwh", "\uff11\uff11", "must be a number"),
        ("serial", "M\u200c1", "cannot be seen"),
        ("opened_on", "2026-02-30", "not a day of the calendar"),
        ("opened_on", "2026-03-16", "in the future"),
        ("opened_on", "0001-01-01", "too long ago"),
    ],
)
def test_a_wrong_cell_of_a_meter_is_named(column: str, value: str, said: str) -> None:
    _, problems = meter(**{column: value})
    assert [name for name, _ in problems] == [column]
    assert said in problems[0][1]


def test_today_in_the_utilitys_zone_is_not_the_future() -> None:
    problems: list[ImportProblem] = []
    late = datetime(2026, 3, 15, 19, tzinfo=UTC)  # 16 March, 00:30, in Kolkata
    meter_row(Cells(2, METER | {"opened_on": "2026-03-16"}, problems), zone=KOLKATA, now=late)
    assert problems == []


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("account_no", "", "is empty"),
        ("name", "", "is empty"),
        ("name", "two\nlines", "cannot be printed"),
        ("email", "nobody", "not an e-mail address"),
        ("phone", "1" * 61, "longer than 60"),
        ("currency", "RUPEES", "not a currency code"),
        ("language", "English!", "not a language tag"),
    ],
)
def test_a_wrong_cell_of_a_customer_is_named(column: str, value: str, said: str) -> None:
    problems: list[ImportProblem] = []
    right = dict.fromkeys((*CUSTOMER_COLUMNS, *CUSTOMER_OPTIONS), "")
    right |= {"account_no": "A1", "name": "12 Canal Road"}
    customer_row(Cells(3, right, problems))
    assert problems == []
    customer_row(Cells(3, right | {column: value}, problems))
    assert [p.column for p in problems] == [column]
    assert said in problems[0].message


def reading(kwh: str = "1117", at: str = "2026-03-01T09:30") -> object:
    problems: list[ImportProblem] = []
    values = dict(zip(READING_COLUMNS, ("M1", kwh, at), strict=True))
    read = file_read(Cells(4, values, problems), zone=KOLKATA, now=NOW)
    return read or str(problems[0])


def test_a_reading_without_a_zone_is_local_and_a_bare_date_is_the_start_of_that_day() -> None:
    assert getattr(reading(), "read_at", None) == datetime(2026, 3, 1, 4, tzinfo=UTC)
    bare = reading(at="2026-03-01")
    assert getattr(bare, "read_at", None) == datetime(2026, 2, 28, 18, 30, tzinfo=UTC)
    zoned = reading(at="2026-03-01T04:00:00Z")
    assert getattr(zoned, "read_at", None) == datetime(2026, 3, 1, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kwh", "at", "said"),
    [
        ("", "2026-03-01", "row 4: The reading is missing"),
        ("abc", "2026-03-01", "row 4: The reading must be a number"),
        ("1117", "", "row 4: Say when the meter was read"),
        ("1117", "1 March", "row 4: Say when the meter was read"),
        ("1117", "03/04/2026 10:30", "row 4: Say when the meter was read"),
        ("1117", "2026-03-01 10:30 PM", "row 4: Say when the meter was read"),
        ("1117", "46082.4375", "row 4: Say when the meter was read"),
        ("1O17", "2026-03-01", "row 4: The reading must be a number"),
        (
            "1117",
            "2026-03-16",
            "row 4: The reading is dated 16 Mar 2026 00:00, which is in the future",
        ),
    ],
)
def test_a_wrong_reading_is_named(kwh: str, at: str, said: str) -> None:
    assert str(reading(kwh, at)).startswith(said)


def test_a_wrong_time_of_a_reading_is_shown_as_it_was_written() -> None:
    assert "not '03/04/2026'" in str(reading(at="03/04/2026"))


def test_a_time_that_the_clock_never_shows_is_no_time_of_a_reading() -> None:
    # On 29 March 2026 Cologne's clocks went from 02:00 to 03:00, Cairo's on 24 April from midnight.
    now = datetime(2026, 6, 1, tzinfo=UTC)

    def at(text: str, zone: str) -> datetime:
        body = {"meter_serial": "M1", "reading_kwh": "1117", "read_at": text}
        return parse_submission(body, zone=ZoneInfo(zone), now=now).read_at

    with pytest.raises(InvalidReading, match="29 Mar 2026 02:30 does not exist"):
        at("2026-03-29T02:30", "Europe/Berlin")
    assert at("2026-03-29T03:00", "Europe/Berlin") == datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert at("2026-04-24", "Africa/Cairo") == datetime(2026, 4, 23, 22, tzinfo=UTC)


def test_two_readings_of_one_meter_at_one_instant_are_named() -> None:
    problems: list[ImportProblem] = []
    table = read_table(
        "meter_serial,reading_kwh,read_at\nM1,5,2026-03-01\nM1,6,2026-03-01T00:00\nM1,5,2026-03-01\n"
        "M2,5,2026-03-01\n",
        required=READING_COLUMNS,
    )
    reads = [file_read(cells, zone=KOLKATA, now=NOW) for cells in table.rows()]
    by_meter([read for read in reads if read], problems)
    assert [p.row for p in problems] == [3, 4]
    assert "another value than row 2" in problems[0].message


TARIFF = (
    '{"code": "T", "name": "T", "currency": "INR", "effective_from": "2026-01-01", "charges": '
    '[{"code": "e", "description": "Energy", "kind": "energy", "rate": "5.00"}]}'
)


def test_a_tariff_file_holds_one_tariff_or_a_list() -> None:
    assert len(tariff_rows(TARIFF, [])) == 1
    later = TARIFF.replace("2026-01-01", "2026-02-01")
    problems: list[ImportProblem] = []
    rows = tariff_rows(f"[{TARIFF}, {later}]", problems)
    assert problems == []
    assert rows[0]["tariff_id"] == rows[1]["tariff_id"]
    assert rows[0]["id"] != rows[1]["id"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "This is not JSON"),
        ("[]", "The list of tariffs is empty."),
        ("[" * 200_000, "nested deeper"),
        ("5", "row 1: is not an object"),
        ('{"a": 1, "a": 2}', "'a' stands twice"),
        ("{}", "row 1, charges: is missing"),
        (TARIFF.replace('"5.00"', "5.00"), "row 1, charges[0].rate: must be a text of decimals"),
        (f"[{TARIFF}, {TARIFF}]", "row 2, effective_from: T from 2026-01-01 stands in position 1"),
        (
            f"[{TARIFF}, {TARIFF.replace('INR', 'USD').replace('-01-01', '-05-01')}]",
            "row 2, currency: T is in INR in position 1",
        ),
    ],
)
def test_a_wrong_tariff_file_says_where(text: str, said: str) -> None:
    problems: list[ImportProblem] = []
    try:
        tariff_rows(text, problems)
    except UnreadableFile as error:
        problems.append(error.problem)
    assert said in "; ".join(str(problem) for problem in problems)


RATE = (
    '{"label": "x1", "utility": "City Power", "name": "R", "startdate": 1388534400, "eiaid": 7, '
    '"energyratestructure": [[{"rate": 0.07000000000000001}]], "energyattrs": [{"a": "b"}]}'
)


def test_rates_of_urdb_are_tariffs_in_dollars_and_what_they_lack_is_remarked() -> None:
    problems: list[ImportProblem] = []
    remarks: list[ImportProblem] = []
    rows = tariff_rows(f'{{"items": [{RATE}]}}', problems, remarks=remarks)
    assert problems == []
    assert (rows[0]["code"], rows[0]["currency"]) == ("x1", "USD")
    assert rows[0]["effective_from"] == "2014-01-01"
    assert rows[0]["definition"]["charges"][0]["rate"] == "0.07"
    assert [str(remark) for remark in remarks] == [
        "row 1, energyratestructure[0][0].rate: 0.07000000000000001 is taken as 0.07.",
        "row 1: kept in no field: eiaid 7.",
        "row 1, energyattrs: text for people, not priced: [{'a': 'b'}].",
    ]
    rows = tariff_rows(f"[{RATE}]", problems, effective_from=date(2026, 4, 1))
    assert rows[0]["effective_from"] == "2026-04-01"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (RATE.replace("0.07000000000000001", '"free"'), "row 1, energyratestructure[0][0].rate: f"),
        (RATE.replace("1388534400", "null"), "row 1, startdate: is missing"),
        (f"[{RATE}, 5]", "row 2: is not an object with named fields."),
        (f"[{RATE}, {RATE}]", "row 2, effective_from: x1 from 2014-01-01 stands in position 1"),
        (f"[{RATE}, {TARIFF}]", "row 1, charges: is missing"),
        (RATE.replace('"eiaid": 7', '"label": "x2"'), "'label' stands twice"),
        (RATE.replace("1388534400", "1" * 5000), "A number in this JSON is too long"),
    ],
)
def test_a_wrong_file_of_urdb_says_where(text: str, said: str) -> None:
    problems: list[ImportProblem] = []
    try:
        tariff_rows(text, problems)
    except UnreadableFile as error:
        problems.append(error.problem)
    assert said in "; ".join(str(problem) for problem in problems)


def test_a_date_from_which_it_holds_goes_with_tariffs_only() -> None:
    nothing = Importer(database=None, zone=KOLKATA)  # type: ignore[arg-type]
    report = nothing.run("meters", "", actor="a", now=NOW, effective_from=date(2026, 4, 1))
    assert [str(error) for error in report.errors] == [
        "A date from which it holds goes with tariffs only."
    ]


def test_a_tariff_of_ones_own_says_itself_from_when_it_holds() -> None:
    with pytest.raises(UnreadableFile, match="says itself from when it holds"):
        tariff_rows(TARIFF, [], effective_from=date(2026, 4, 1))


def test_a_report_says_what_was_written() -> None:
    assert ImportReport(added=2, unchanged=1).summary == "2 added, 0 changed, 1 unchanged."
    wrong = (ImportProblem(2, "kind", "must be smart."),)
    assert "nothing was imported" in ImportReport(errors=wrong).summary
    assert "came up while writing: 5 added" in ImportReport(errors=wrong, added=5).summary


def test_the_columns_of_the_contract_are_the_least_that_is_needed() -> None:
    assert CUSTOMER_COLUMNS == ("account_no", "name", "email", "phone", "address")
    assert ",".join(METER_COLUMNS) == (
        "serial,account_no,tariff_code,kind,dials,multiplier,opening_kwh,opened_on"
    )
    assert READING_COLUMNS == ("meter_serial", "reading_kwh", "read_at")
