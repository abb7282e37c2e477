"""camt.053 and MT940 as tables, and what is no bank statement."""

import csv
import io

import pytest

from services.importing.bank.files import statement_table
from services.importing.source import UnreadableFile

MT940 = """{1:F01BANKDEFFXXXX0000000000}{4:
:20:STARTUMS
:25:12345678/0123456789
:28C:00001/001
:60F:C260301EUR1000,00
:61:2603020302C540,35NTRFNONREF//BANKREF123
:86:166?00GUTSCHRIFT?20INV-000117 A-1001?32ANN SMITH
:61:2603030303D12,50NMSCNONREF
:86:Fees
:62F:C260303EUR1527,85
-}
{1:F01BANKDEFFXXXX0000000000}{4:
:20:STARTUMS
:25:999
:28C:00002/001
:60F:C260303EUR10,00
:61:2603040304CR7,NTRFK-77
:86:from Ben
:62F:C260304EUR17,00
-}
"""
ENTRY = """<Ntry><Amt Ccy="EUR">{amount}</Amt><CdtDbtInd>{sign}</CdtDbtInd><Sts>{status}</Sts>
<BookgDt><Dt>2026-03-02</Dt></BookgDt><AcctSvcrRef>{reference}</AcctSvcrRef>
<NtryDtls>{details}</NtryDtls></Ntry>"""
DETAIL = """<TxDtls><Refs><EndToEndId>{end}</EndToEndId></Refs>{amount}
<RltdPties><Dbtr><Nm>Ann</Nm></Dbtr></RltdPties><RmtInf><Ustrd>{text}</Ustrd></RmtInf></TxDtls>"""


def camt(*entries: str, kind: str = "BkToCstmrStmt", head: str = "") -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{head}'
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">'
        f"<{kind}><GrpHdr><MsgId>M1</MsgId></GrpHdr><Stmt><Id>S1</Id>"
        "<Acct><Id><IBAN>DE02120300000000202051</IBAN></Id></Acct>"
        f"{''.join(entries)}</Stmt></{kind}></Document>"
    ).encode()


def entry(
    amount: str, *details: str, sign: str = "CRDT", status: str = "BOOK", reference: str = "R-1"
) -> str:
    return ENTRY.format(
        amount=amount, sign=sign, status=status, reference=reference, details="".join(details)
    )


def detail(text: str, *, amount: str = "", end: str = "NOTPROVIDED") -> str:
    own = f'<Amt Ccy="EUR">{amount}</Amt>' if amount else ""
    return DETAIL.format(text=text, end=end, amount=own)


def table(data: bytes) -> list[tuple[str, ...]]:
    text = statement_table(data)
    assert isinstance(text, str)
    return [tuple(row) for row in csv.reader(io.StringIO(text))][1:]


def test_an_mt940_with_two_statements_becomes_lines() -> None:
    assert table(MT940.encode()) == [
        ("2026-03-02", "540.35", "EUR", "INV-000117 A-1001", "ANN SMITH", "BANKREF123",
         "12345678/0123456789"),
        ("2026-03-03", "-12.50", "EUR", "Fees", "", "", "12345678/0123456789"),
        ("2026-03-04", "7", "EUR", "from Ben K-77", "", "", "999"),
    ]  # fmt: skip
    assert table(MT940.replace("\n", "\r\n").encode("cp1252"))[0][1] == "540.35"


@pytest.mark.parametrize(
    ("mark", "amount"), [("C", "540.35"), ("D", "-540.35"), ("RC", "-540.35"), ("RD", "540.35")]
)
def test_a_credit_that_the_bank_takes_back_is_money_that_left(mark: str, amount: str) -> None:
    assert table(MT940.replace("02C540,35", f"02{mark}540,35").encode())[0][1] == amount


def test_a_line_of_mt940_that_cannot_be_read_is_no_silent_loss() -> None:
    broken = MT940.replace(":61:2603040304CR7,NTRFK-77", ":61:in March Ben sent 7")
    with pytest.raises(UnreadableFile, match="begins in line 13 has a line that cannot be read"):
        statement_table(broken.encode())


def test_a_camt_becomes_lines_of_what_is_booked() -> None:
    found = table(
        camt(
            entry("540.35", detail("INV-000117", end="E-7")),
            entry("9.00", detail("soon"), status="PDNG"),
            entry("12.50", detail("Fees"), sign="DBIT", reference="R-2"),
        )
    )
    assert found == [
        ("2026-03-02", "540.35", "EUR", "INV-000117 E-7", "Ann", "R-1", "DE02120300000000202051"),
        ("2026-03-02", "-12.50", "EUR", "Fees", "", "R-2", "DE02120300000000202051"),
    ]


def test_a_batch_is_a_line_for_each_payment_where_the_bank_says_their_amounts() -> None:
    parts = (detail("A-1", amount="5.00"), detail("A-2", amount="2.50"))
    assert [(line[1], line[3], line[5]) for line in table(camt(entry("7.50", *parts)))] == [
        ("5.00", "A-1", "R-1/1"),
        ("2.50", "A-2", "R-1/2"),
    ]
    together = table(camt(entry("7.50", detail("A-1"), detail("A-2"))))
    assert [(line[1], line[3]) for line in together] == [("7.50", "A-1 A-2")]


BOMB = (
    '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>'
)
OUTSIDE = '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (camt(entry("1", detail("&c;")), head=BOMB), "declares XML entities"),
        (camt(entry("1", detail("&x;")), head=OUTSIDE), "declares XML entities"),
        (camt(head='<!DOCTYPE d SYSTEM "http://127.0.0.1/x.dtd">'), "declares XML entities"),
        (camt(kind="BkToCstmrDbtCdtNtfctn"), r"a notification \(camt.054\)"),
        (camt(kind="BkToCstmrAcctRpt"), r"an account report \(camt.052\)"),
        (camt(entry("1", detail("x")))[:-40], "broken near line"),
        (b"<html><body>Log in</body></html>", "no bank statement"),
        (b"%PDF-1.7 ...", "is a PDF"),
        (b"OFXHEADER:100\nDATA:OFXSGML", "is OFX"),
        (b"!Type:Bank\nD3/2/26", "is QIF"),
        (b"", "empty"),
    ],
)
def test_what_is_no_bank_statement_is_refused_with_a_sentence(data: bytes, said: str) -> None:
    with pytest.raises(UnreadableFile, match=said):
        statement_table(data)


def test_a_table_stays_what_it_is() -> None:
    assert statement_table(b"Date,Amount,Text\n") == b"Date,Amount,Text\n"


def test_what_looks_like_a_formula_stays_text() -> None:
    (line,) = table(camt(entry("1.00", detail("=1+1"))))
    assert line[3] == "'=1+1"
