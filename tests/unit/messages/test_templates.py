"""What customers are told: every amount, date and link comes from the bill, in plain words."""

import re
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.languages.language import Language
from services.messages import discord, sms, whatsapp
from services.messages.discord import (
    NotADiscordWebhook,
    as_text,
    check_webhook,
    shared_note,
    whole_bill,
)
from services.messages.mail import mail_of
from services.messages.phones import InvalidPhone, e164
from services.messages.templates import TemplateWriter, WriteMessage
from services.messages.whatsapp import TEMPLATES
from services.records.bills import Bill
from services.records.outbox import OutboxKind

LINK = "https://buy.stripe.com/test_1"
KINDS: tuple[OutboxKind, ...] = ("bill_issued", "payment_reminder", "overdue_notice")
PAID = {"amount_minor": "40000", "currency": "INR", "received_on": "2026-11-20"}
CORRECTED = {"voided": "INV-000003, INV-000004", "issued": "INV-000007, INV-000042"}
CORRECTED |= {"difference_minor": "1200", "currency": "INR"}
FACTS: dict[OutboxKind, dict[str, str]] = {kind: {} for kind in KINDS}
FACTS |= {"payment_received": PAID, "bill_corrected": CORRECTED}
IN_ARREARS = {"dunning": "demand", "notice_days": "15", "in_arrears": "₹1,200.00"}
IN_ARREARS |= {"bills_in_arrears": "2", "cut_from": "19 Dec 2026"}
FACTS |= {"disconnection_notice": IN_ARREARS | {"dunning": "notice"}}
CHARGED = PAID | {"method": "Visa …4242"}
FACTS |= {"autopay_notice": CHARGED | {"charge_on": "2026-11-27"}}
FACTS |= {"autopay_failed": CHARGED | {"paused": "yes"}, "autopay_ended": CHARGED}
FACTS |= {"autopay_expiring": CHARGED | {"expires_on": "2026-12-31"}}
_ABOUT_NO_BILL = {"disconnection_notice", "payment_received", "autopay_expiring", "autopay_ended"}
_ABOUT_NO_BILL |= {"charges_overdue"}
CHARGES = {"charges_due": "₹250.00", "charges_since": "1 Nov 2026"}
FACTS |= {"charges_overdue": IN_ARREARS | CHARGES}


def bill(**changes: Any) -> Bill:
    """A bill of ₹540.35 for 117 kWh, with a link."""
    fields: dict[str, Any] = dict.fromkeys(
        ("id", "meter_id", "meter_serial", "customer_id", "tariff_code", "tariff_name"), "x"
    )
    fields |= dict.fromkeys(("opening_reading_id", "closing_reading_id"), "x")
    fields |= {"number": 42, "account_no": "A-1", "customer_name": "Some Body", "address": "here"}
    fields |= {"period_start": date(2026, 10, 12), "period_end": date(2026, 11, 12)}
    fields |= {"opening_wh": 1_000_000, "closing_wh": 1_117_000, "consumption_wh": 117_000}
    fields |= {"multiplier_milli": 1000, "currency": "INR", "lines": (), "subtotal_minor": 54035}
    fields |= {"tax_minor": 0, "total_minor": 54035, "amount_paid_minor": 0}
    fields |= {"balance_minor": 54035, "status": "issued", "issued_on": date(2026, 11, 12)}
    fields |= {"issued_at": datetime(2026, 11, 12, tzinfo=UTC), "due_date": date(2026, 11, 27)}
    fields |= {"overdue_since": None, "payment_url": LINK, "void_reason": None}
    fields |= {"created_at": datetime(2026, 11, 12, tzinfo=UTC)}
    fields |= {"agreement_id": "a", "service_point_id": "p", "service_point_code": "P"}
    fields |= {"service_address": ""}
    return Bill.model_validate(fields | changes)


def text(kind: OutboxKind, **changes: Any) -> str:
    """The template's text for a bill; `facts` tell of a payment or a correction."""
    facts = changes.pop("facts", FACTS[kind])
    writer = TemplateWriter(lambda: "Hill Power")
    return writer.write(bill=bill(**changes), kind=kind, language="en", facts=facts).text


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_has_the_amount_the_date_the_link_and_no_name(kind: OutboxKind) -> None:
    said = text(kind)
    assert all(part in said for part in ("₹540.35", "INV-000042", "27 Nov 2026", "Hill Power"))
    assert f"Pay here: {LINK}" in said.splitlines()
    assert "Some Body" not in said


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_link_it_names_the_office_and_the_reference(kind: OutboxKind) -> None:
    assert "Pay at our office with the reference INV-000042" in text(kind, payment_url=None)


def test_a_bill_paid_in_part_asks_for_what_is_left() -> None:
    said = text("payment_reminder", amount_paid_minor=40000, balance_minor=14035)
    assert "₹140.35" in said
    assert "₹540.35" not in said


@pytest.mark.parametrize("balance", [0, -5000])
def test_a_bill_with_nothing_to_pay_asks_for_nothing(balance: int) -> None:
    said = text("bill_issued", balance_minor=balance, status="paid")
    assert "There is nothing to pay." in said
    assert "Pay here" not in said


def test_a_demand_names_all_that_is_overdue_and_the_late_fee() -> None:
    said = text("overdue_notice", facts=IN_ARREARS | {"late_fee_minor": "5900"})
    assert "₹540.35 of your electricity bill INV-000042 was due on 27 Nov 2026" in said
    assert "In all ₹1,200.00 of 2 bills is overdue." in said
    assert "A late payment fee of ₹59.00 has been charged to your account." in said
    one = text("overdue_notice", facts=IN_ARREARS | {"bills_in_arrears": "1"})
    assert "In all" not in one
    assert "fee" not in one


def test_a_disconnection_notice_says_how_much_since_when_and_from_when_on() -> None:
    said = text("disconnection_notice")
    assert said.startswith(
        "Disconnection notice for account A-1: ₹1,200.00 of 2 electricity bills has been overdue "
        "since 27 Nov 2026. If it is not paid, your supply may be disconnected from 19 Dec 2026 on."
    )
    assert LINK in said
    short = sms.text_of(bill(), "disconnection_notice", IN_ARREARS, sender="Hill Power")
    assert short.startswith("Hill Power: disconnection notice: ₹1,200.00 is overdue.")
    assert "from 19 Dec 2026 on" in short
    values = whatsapp.parameters(bill(), "disconnection_notice", IN_ARREARS)
    filled = TEMPLATES["disconnection_notice"].filled(values)
    assert "₹1,200.00 of your electricity account A-1 has been overdue since 27 Nov 2026" in filled
    assert "{{" not in filled


def test_another_language_gets_english_and_a_note() -> None:
    message = TemplateWriter(lambda: "Hill Power").write(
        bill=bill(), kind="bill_issued", language="ml"
    )
    assert message.written_by == "template"
    assert message.note == "no template in ml, so in English"


def test_thanks_name_the_payment_and_what_is_left() -> None:
    said = text("payment_received", amount_paid_minor=40000, balance_minor=14035)
    assert "received your payment of ₹400.00 on 20 Nov 2026" in said
    assert "₹140.35 of your electricity bill INV-000042 is left to pay by 27 Nov 2026" in said
    assert f"Pay here: {LINK}" in said.splitlines()


def test_thanks_for_the_last_part_say_that_the_bill_is_paid_and_ask_for_nothing() -> None:
    paid = {"balance_minor": 0, "status": "paid", "payment_url": None}
    said = text("payment_received", **paid)
    assert "₹400.00" in said
    assert "INV-000042 is paid" in said
    assert "Pay " not in said


def test_thanks_for_a_void_bill_say_where_the_money_is() -> None:
    void = {"balance_minor": 0, "status": "void", "payment_url": None}
    assert "is void: the money stays" in text("payment_received", **void)


def test_thanks_are_in_the_currency_that_was_paid() -> None:
    yen = PAID | {"amount_minor": "500", "currency": "JPY"}
    assert "your payment of ¥500 on" in text("payment_received", facts=yen)


@pytest.mark.parametrize(
    ("minor", "words"),
    [
        ("1200", "₹12.00 more than before"),
        ("-1200", "₹12.00 less than before"),
        ("0", "the same as before"),
    ],
)
def test_a_correction_names_the_bills_and_the_difference(minor: str, words: str) -> None:
    said = text("bill_corrected", facts=CORRECTED | {"difference_minor": minor})
    assert "INV-000003, INV-000004 no longer holds; instead: INV-000007, INV-000042." in said
    assert f"Together that is {words}." in said
    assert "₹540.35 of your electricity bill INV-000042 is left to pay" in said
    assert words in whatsapp.parameters(
        bill(), "bill_corrected", CORRECTED | {"difference_minor": minor}
    )


CREDITED = CORRECTED | {"credit_notes": "a b", "credited": "CN-000001, CN-000002"}
ALONE = CORRECTED | {"issued": "", "credit_notes": "a", "credited": "CN-000001"}


def test_a_correction_names_its_credit_notes_on_each_channel() -> None:
    said = text("bill_corrected", facts=CREDITED)
    assert "Credit notes CN-000001, CN-000002 take them back." in said
    shown = whatsapp.parameters(bill(), "bill_corrected", CREDITED)[1]
    assert shown == "INV-000007, INV-000042, credit notes CN-000001, CN-000002"
    brief = sms.text_of(bill(), "bill_corrected", CREDITED, sender="Mill")
    assert "credit notes CN-000001, CN-000002" in brief


def test_a_void_without_another_bill_says_nothing_of_one() -> None:
    void: dict[str, Any] = {"status": "void", "balance_minor": 54035}
    said = text("bill_corrected", facts=ALONE, **void)
    assert "no longer holds. Credit note CN-000001 takes it back." in said
    assert "Pay" not in said
    shown = whatsapp.parameters(bill(**void), "bill_corrected", ALONE)
    assert all(one.strip() for one in shown)
    none = CORRECTED | {"issued": ""}
    assert all(one.strip() for one in whatsapp.parameters(bill(**void), "bill_corrected", none))
    assert "no longer holds:" in sms.text_of(bill(**void), "bill_corrected", none, sender="Mill")


def test_a_corrected_bill_that_is_paid_is_told_of() -> None:
    paid = {"balance_minor": -300, "status": "paid"}
    assert "There is nothing to pay." in text("bill_corrected", **paid)


def test_a_channel_that_many_read_learns_the_account_and_what_was_paid() -> None:
    part = bill(amount_paid_minor=40000, balance_minor=14035)
    note = shared_note(bill=part, kind="payment_received", facts=PAID)
    assert [(f["name"], f["value"]) for f in note["embeds"][0]["fields"]] == [
        ("Account", r"A\-1"),
        ("Paid", "₹400.00"),
    ]
    whole = whole_bill(bill=part, kind="payment_received", text="Thanks", facts=PAID)
    fields = {f["name"]: f["value"] for f in whole["embeds"][0]["fields"]}
    assert (fields["Paid"], fields["Left to pay"]) == ("₹400.00", "₹140.35")


@pytest.mark.parametrize("filler", ["x", "😀", "💡é"])
def test_discords_limits_are_kept_by_cutting(filler: str) -> None:
    post = whole_bill(bill=bill(), kind="bill_issued", text=filler * 3000)
    assert len(post["content"].encode("utf-16-le")) // 2 <= 2000
    assert post["content"].endswith("…")
    note = shared_note(bill=bill(account_no=filler * 2000), kind="bill_issued")
    value = note["embeds"][0]["fields"][0]["value"]
    assert len(value.encode("utf-16-le")) // 2 <= 1024


def test_what_fits_is_not_cut() -> None:
    assert discord.cut("x" * 2000, 2000) == "x" * 2000
    assert discord.cut("😀" * 1000, 2000) == "😀" * 1000


@pytest.mark.parametrize("account", ["@everyone", "[pay](https://example.org)", "**1**", "<@12>"])
def test_an_account_number_can_neither_call_people_nor_show_a_link(account: str) -> None:
    note = shared_note(bill=bill(account_no=account), kind="bill_issued")
    assert note["allowed_mentions"] == {"parse": []}
    shown = note["embeds"][0]["fields"][0]["value"]
    assert shown.replace("\\", "") == account
    assert not any(f"{mark}" in shown.replace(f"\\{mark}", "") for mark in "@[(*<")


def test_the_log_reads_as_the_post_does() -> None:
    said = as_text(whole_bill(bill=bill(), kind="overdue_notice", text="Please pay."))
    assert said.splitlines()[:2] == ["Please pay.", "Payment overdue INV-000042"]
    assert f"Pay online: {LINK}" in said


@pytest.mark.parametrize(
    "address",
    [
        "https://discord.com/api/webhooks/123/ab-C_9",
        "https://discord.com/api/v10/webhooks/123/ab",
        "https://canary.discord.com/api/webhooks/123/ab?thread_id=5",
    ],
)
def test_discords_webhooks_are_taken(address: str) -> None:
    assert check_webhook(f" {address} ") == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "http://discord.com/api/webhooks/123/ab",
        "https://discord.com.example.org/api/webhooks/123/ab",
        "https://user@discord.com/api/webhooks/123/ab",
        "https://discord.com:8443/api/webhooks/123/ab",
        "https://127.0.0.1/api/webhooks/123/ab",
        "https://discord.com/api/webhooks/123",
        "https://discord.com/api/webhooks/123/ab/../../users",
    ],
)
def test_every_other_address_is_refused(address: str) -> None:
    with pytest.raises(NotADiscordWebhook):
        check_webhook(address)


@pytest.mark.parametrize(
    "written", ["+919876543210", "+91 98765 43210", "+91-98765-43210", "+91 (98765) 43.210"]
)
def test_a_number_with_its_country_code_is_taken(written: str) -> None:
    assert e164(written) == "+919876543210"


@pytest.mark.parametrize(
    "written",
    [
        *("+254 (0)712-345678 ext. 5", "+254 712", "+999 123456789"),
        *("", "9876543210", "09876543210", "0091987654321", "+0123456789", "+1"),
        *("+91987654321012345", "+91 98765 4321x", "++919876543210", "+९१9876543210"),
    ],
)
def test_any_other_number_is_refused(written: str) -> None:
    with pytest.raises(InvalidPhone):
        e164(written)


@pytest.mark.parametrize("kind", FACTS)
def test_a_template_begins_and_ends_with_words_and_is_filled_whole(kind: OutboxKind) -> None:
    template = TEMPLATES[kind]
    assert not template.body.startswith("{{")
    assert not template.body.endswith("}}")
    filled = template.filled(whatsapp.parameters(bill(), kind, FACTS[kind]))
    assert "{{" not in filled
    assert len(filled) <= whatsapp.BODY_LIMIT
    # What no bill has is paid by no link.
    assert (LINK in filled) == (kind != "charges_overdue")


def test_whatsapp_counts_the_earlier_bills_that_the_message_is_about() -> None:
    told = whatsapp.parameters(bill(), "bill_issued", {"tells_of": "a b c"})
    assert told[0] == "INV-000042 (and 3 other bills)"
    # What is to pay is of all of them, as the written message says.
    amounts = whatsapp.parameters(
        bill(), "bill_issued", {"tells_of": "a b c", "left_in_all": "₹1,500.00"}
    )
    assert amounts[2] == "₹1,500.00 in all"
    assert whatsapp.parameters(bill(), "bill_issued", {})[0] == "INV-000042"


class Stored:
    """Stands for the database: bills of a landlord, each of ₹100.00."""

    def bill(self, bill_id: str) -> Bill:
        number = int(bill_id)
        link = f"https://buy.stripe.com/{'x' * 40}{number}"
        return bill(
            id=bill_id, number=number, meter_serial=f"M{number}", payment_url=link,
            total_minor=10_000, balance_minor=10_000,
        )  # fmt: skip

    def customer_contact(self, _customer_id: str) -> Any:
        return SimpleNamespace(language="en")

    def why_unsaid(self, **_of: object) -> str:
        return ""


def test_whoever_has_many_bills_reads_what_is_to_pay_in_all() -> None:
    write = WriteMessage(
        cast("Any", Stored()), TemplateWriter(lambda: "Hill Power"), lambda: date(2026, 11, 12)
    )

    def told(others: int) -> str:
        facts = {"tells_of": " ".join(str(n) for n in range(2, others + 2))}
        said = write(bill=Stored().bill("1"), kind="bill_issued", facts=facts).facts["text"]
        return discord.cut(said, discord.CONTENT_LIMIT)

    few = told(3)
    assert "To pay in all: ₹400.00." in few
    assert all(f"INV-00000{n}" in few for n in (1, 2, 3, 4))
    assert "more bill" not in few
    many = told(40)
    assert "To pay in all: ₹4,100.00." in many
    assert many.endswith("And 32 more bills. The statement of account names all.")


def test_what_is_said_after_the_due_date_does_not_ask_to_pay_by_it() -> None:
    late = {"today": "2026-11-28"}
    said = text("bill_issued", facts=late)
    assert "It was due on 27 Nov 2026. Please pay now." in said
    left = {"amount_paid_minor": 40000, "balance_minor": 14035}
    assert "is left to pay; it was due on 27 Nov 2026." in text(
        "payment_received", facts=PAID | late, **left
    )
    assert "Please pay by 27 Nov 2026" in text("bill_issued", facts={"today": "2026-11-27"})
    due = whatsapp.parameters(bill(), "bill_issued", late)[3]
    assert whatsapp.TEMPLATES["bill_issued"].body.count("due {{4}}") == 1
    assert due == "since 27 Nov 2026"
    corrected = FACTS["bill_corrected"] | late
    assert whatsapp.parameters(bill(), "bill_corrected", corrected)[4] == "since 27 Nov 2026"
    assert whatsapp.parameters(bill(), "overdue_notice", late)[3] == "27 Nov 2026"


def test_what_a_bank_is_paying_nobody_is_asked_to_pay() -> None:
    paying = {"spared_because": "bank_debit", "payment_url": None}
    kinds: tuple[OutboxKind, ...] = ("bill_issued", "payment_received", "bill_corrected")
    for kind in kinds:
        said = text(kind, **paying)
        assert "Your bank is paying it, so there is nothing to do." in said
        assert "Pay " not in said
    assert whatsapp.parameters(bill(**paying), "bill_issued", {})[4].startswith("nothing now")


@pytest.mark.parametrize("tag", ["es", "fr", "hi", "ar", "sw"])
@pytest.mark.parametrize("kind", list(TEMPLATES))
def test_each_message_is_in_the_customers_language_on_every_channel(
    tag: str, kind: OutboxKind
) -> None:
    language, english = Language.of(tag), Language.of("en")
    written = TemplateWriter(lambda: "Hill Power").write(
        bill=bill(), kind=kind, language=tag, facts=FACTS[kind]
    )
    assert written.note == ""
    said = {
        "text": written.text,
        "sms": sms.text_of(bill(), kind, FACTS[kind], sender="Hill Power", language=language),
        "discord": as_text(
            whole_bill(bill=bill(), kind=kind, text="", facts=FACTS[kind], language=language)
        ),
        "whatsapp": TEMPLATES[kind].filled(
            whatsapp.parameters(bill(), kind, FACTS[kind], language=language), language
        ),
    }
    for channel, text_said in said.items():
        # No word of the English message is left, but for names and figures.
        left = {"the", "your", "bill", "please", "pay", "period", "due", "thank"}
        assert not left & set(re.findall(r"\w+", text_said.replace(LINK, "").lower())), (
            channel,
            text_said,
        )
        assert "INV-000042" in text_said or "INV-000007" in text_said or kind in _ABOUT_NO_BILL
    owed = language.money(bill().money(54035))
    assert (owed in said["discord"]) == (kind != "charges_overdue")
    assert english.gettext("Paid") != language.gettext("Paid")


def test_the_subject_of_a_mail_is_in_its_language() -> None:
    mail = mail_of(
        bill=bill(),
        kind="bill_issued",
        text="…",
        language="ar",
        sender="office@example.org",
        sender_name="Hill Power",
        recipient="a@example.org",
        row_id="r",
        at=datetime(2026, 11, 12, tzinfo=UTC),
    )
    assert mail["Subject"] == "فاتورة الكهرباء INV-000042"
    assert mail["Content-Language"] == "ar"


def test_arabic_says_how_many_bills_are_overdue_in_the_form_of_the_number() -> None:
    def said(bills: int) -> str:
        facts = IN_ARREARS | {"bills_in_arrears": str(bills)}
        writer = TemplateWriter(lambda: "Hill Power")
        return writer.write(bill=bill(), kind="overdue_notice", language="ar", facts=facts).text

    assert ("فاتورتين" in said(2), "3 فواتير" in said(3), "11 فاتورة" in said(11)) == (True,) * 3
