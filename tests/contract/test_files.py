"""Files in and out, over both transports."""

from services.importing import Importer
from tests.contract.over import Over
from tests.integration.utility import ACTOR, KSEB

METERS = "serial,account_no,tariff_code,kind,dials,multiplier,opening_kwh,opened_on,service_point"
AGREEMENTS = "service_point,account_no,tariff_code,starts_on,deposit"


def test_lines_of_a_bank_are_matched_and_decided(over: Over) -> None:
    day, bank = (
        over.utility.today.isoformat(),
        Importer(over.here, over.utility.services.settings.timezone),
    )
    over.utility.add_meter("F1")
    customer = over.here.account_numbered("A-F1").id
    text = (
        f"booked_on,amount,reference,account\n{day},5,A-F1,DE1\n{day},6,hello,DE1\n{day},7,you,DE1"
    )
    assert bank.bank_statements(text, actor=ACTOR, now=over.utility.now).added == 3
    assert over.same("bank_accounts") == ["DE1"]
    assert over.same("bank_lines", status="matched").total == 1
    first, second = over.same("bank_lines", status="open").items
    over.here.choose_bank_payer(actor=ACTOR, line_id=first.id, customer_id=customer, outbox={})
    over.here.set_bank_line_aside(actor=ACTOR, line_id=second.id, reason="ours")
    assert over.same("bank_line", first.id).customer_id == customer
    assert over.same("bank_line", second.id).status == "set_aside"


def test_places_agreements_and_money_from_before_are_imported(over: Over) -> None:
    services = over.utility.services
    importer = Importer(over.here, services.settings.timezone)
    over.utility.add_meter("F1")
    day = over.utility.today.replace(day=1).isoformat()
    for what, text, added in (
        ("customers", "account_no,name\nF-2,Ben", 1),
        ("service_points", "code,route\nP-F,R1", 1),
        ("meters", f"{METERS}\nF2,,,manual,5,1,7,{day},P-F", 1),
        ("agreements", f"{AGREEMENTS}\nP-F,F-2,{KSEB['code']},{day},20", 1),
        ("balances", f"account_no,balance,as_of\nF-2,5,{day}", 1),
        ("past_payments", f"account_no,amount,received_on\nF-2,5,{day}\nF-2,5,{day}", 2),
    ):  # fmt: skip
        report = importer.run(what, text, actor=ACTOR, now=over.utility.now)  # type: ignore[arg-type]
        assert (report.errors, report.added) == ((), added)
    accounts = ["A-F1", "F-2", "NONE"]
    assert over.same("account_currencies", account_nos=accounts) == dict.fromkeys(
        accounts[:2], "INR"
    )
    customer = over.here.account_numbered("F-2")
    assert (customer.balance_minor, customer.deposit_minor) == (500, 2000)
    assert over.same("past_payments", customer_id=customer.id).total == 2
    assert [e.kind for e in over.same("adjustments", customer_id=customer.id)] == [
        "opening_balance"
    ]


def test_a_full_export_is_walked_page_by_page(over: Over) -> None:
    for serial in ("F1", "F2", "F3"):
        over.utility.add_meter(serial)
    plan = over.same("export_plan")
    assert "bills" in {table.name for table in plan.tables}
    for source, what in (("import", "meters"), ("archive", "customers"), ("archive", "accounts")):
        seen, after = [], None
        while True:
            rows, after = over.same("export_rows", source=source, what=what, after=after, limit=2)
            seen += rows
            if len(rows) < 2:
                break
        assert len(seen) == (0 if what == "accounts" else 3)
