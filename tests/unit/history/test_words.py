"""What a timeline says of each kind of change, word for word."""

from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest

from services.history.entries import Detail, Entry
from services.history.words import KINDS, TABLES, entries_of, tables_of
from services.languages.language import Language
from services.records.details import Change, ChangePage

ZONE = ZoneInfo("Asia/Kolkata")
METER, BILL, CUSTOMER, TARIFF, OTHER, POINT = (
    f"{n}0000000-0000-4000-8000-00000000000{n}" for n in "123456"
)
NAMES = {
    METER: "M-17",
    BILL: "INV-000117",
    CUSTOMER: "Meera Nair, account A-17",
    TARIFF: "Domestic",
    OTHER: "Shops",
    POINT: "P-9",
}
MONEY = {"currency": "INR"}


def entry(
    table: str,
    action: Literal["insert", "update"] = "insert",
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    inserted: dict[str, Any] | None = None,
    row_id: str = BILL,
    actor: str = "asha",
    names: dict[str, str] | None = None,
) -> Entry:
    change = Change(
        key=("2026-11-28T06:00:00+00:00", "a1"),
        at=datetime(2026, 11, 28, 6, 0, tzinfo=UTC),
        actor=actor,
        action=action,
        table=table,
        row_id=row_id,
        before=before or {},
        after=after or {},
        inserted=inserted,
    )
    known = NAMES if names is None else names
    (one,) = entries_of(ChangePage(changes=(change,), names=known, more=False), ZONE)
    return one


def said(*args: Any, **how: Any) -> tuple[str, str]:
    words = entry(*args, **how).said
    return words.what, words.more


def details(*args: Any, **how: Any) -> list[tuple[str, str, str]]:
    found = entry(*args, **how).said.details
    return [(one.label, one.before, one.after) for one in found]


def test_contact_details_say_what_they_were_and_what_they_are() -> None:
    how: dict[str, Any] = {
        "before": {"phone": "", "address": "1 Hill Road"},
        "after": {"phone": "+919847012345", "address": "12 Canal Road"},
        "inserted": {"name": "Meera Nair"},
    }
    assert said("customers", "update", **how) == ("Changed: phone and address", "")
    assert details("customers", "update", **how) == [
        ("Phone", "", "+919847012345"),
        ("Address", "1 Hill Road", "12 Canal Road"),
    ]
    added = entry(
        "customers", after={"id": CUSTOMER, "name": "Meera", "language": "ml", "email": ""}
    )
    assert added.said.what == "Customer added"
    assert added.said.details == (Detail("Name", "", "Meera"), Detail("Language", "", "ml"))
    kept = said("customers", "update", before={"currency": None}, after={"currency": "INR"})
    assert kept == ("The account is kept in INR from now on", "")


def test_how_messages_are_sent_never_shows_a_secret() -> None:
    after = {
        "discord_webhook_url": "kept, fingerprint 0badcafe",
        "whatsapp_opt_in_at": "2026-11-28T06:00:00+00:00",
    }
    assert details("customer_channels", after=after) == [
        ("WhatsApp", "", "agreed 28 Nov 2026, 11:30"),
        ("Discord webhook", "", "set"),
    ]
    gone = {"discord_webhook_url": None, "whatsapp_opt_in_at": None}
    assert details("customer_channels", "update", before=after, after=gone) == [
        ("WhatsApp", "agreed", "no"),
        ("Discord webhook", "set", "none"),
    ]


def test_notes_messages_and_plans() -> None:
    assert said("customer_notes", after={"note": "Rang"}) == ("Note", "Rang")
    message = {"kind": "payment_reminder", "channel": "whatsapp", "status": "sent"}
    message |= {"recipient": "…345", "bill_id": BILL, "error": ""}
    one = entry("notifications", after=message)
    assert one.said.what == "Message: payment reminder, INV-000117"
    assert one.said.more == "WhatsApp · to …345 · sent"
    assert one.said.link == ("bill", BILL)
    assert said("instalment_plans", after={"reason": "hardship"}) == (
        "Instalment plan agreed",
        "hardship",
    )
    ended = {"before": {"status": "active"}, "inserted": {"reason": "hardship"}}
    assert said("instalment_plans", "update", after={"status": "broken"}, **ended) == (
        "Instalment plan broken",
        "hardship",
    )


def test_meters_name_customers_tariffs_and_loads() -> None:
    new: dict[str, Any] = {
        "serial": "M-17",
        "tariff_id": TARIFF,
        "customer_id": CUSTOMER,
        "connected_w": 3000,
    }
    new |= {"multiplier_milli": 40_000, "transformer_id": None, "opened_on": "2026-11-01"}
    added = entry("meters", after=new, row_id=METER)
    assert added.said.what == "Meter M-17 added"
    assert added.said.link == ("meter", METER)
    assert [(one.label, one.after) for one in added.said.details] == [
        ("Customer", "Meera Nair, account A-17"),
        ("Tariff", "Domestic"),
        ("Multiplier", "× 40"),
        ("Connected on", "1 Nov 2026"),
        ("Connected load", "3 kW"),
    ]
    how: dict[str, Any] = {"inserted": new, "row_id": METER}
    changed = {"before": {"tariff_id": TARIFF}, "after": {"tariff_id": OTHER}}
    assert said("meters", "update", **how, **changed)[0] == "Another tariff for meter M-17"
    assert details("meters", "update", **how, **changed) == [("Tariff", "Domestic", "Shops")]
    closed = {"before": {"status": "active"}, "after": {"status": "closed"}}
    assert said("meters", "update", **how, **closed)[0] == "Meter M-17 closed"


def test_places_installations_and_agreements_are_told_as_they_come() -> None:
    installed: dict[str, Any] = {
        "meter_id": METER,
        "service_point_id": POINT,
        "installed_on": "2026-11-01",
    }
    installed |= {"installed_at": "2026-10-31T18:30:00+00:00", "multiplier_milli": 1000}
    one = entry("meter_installations", after=installed)
    assert (one.said.what, one.said.more) == ("Meter M-17 installed at P-9", "1 Nov 2026")
    removed = {"removed_on": "2026-11-20", "removal_reason": "broken glass"}
    assert said("meter_installations", "update", before={}, after=removed, inserted=installed) == (
        "Meter M-17 removed at P-9",
        "20 Nov 2026 · broken glass",
    )
    agreed = {"service_point_id": POINT, "customer_id": CUSTOMER, "starts_on": "2026-11-01"}
    assert said("service_agreements", after=agreed) == (
        "Supply agreed at P-9",
        "Meera Nair, account A-17, from 1 Nov 2026",
    )
    tariff = {"agreement_id": OTHER, "tariff_id": TARIFF, "starts_on": "2026-12-01"}
    assert said("agreement_tariffs", after=tariff) == ("Tariff Domestic", "from 1 Dec 2026")
    assert entry("agreement_tariffs", after=tariff).kind == "tariff"


def test_readings_in_kwh_with_what_was_decided() -> None:
    read = {"register_wh": 1_117_500, "read_on": "2026-11-12", "meter_id": METER}
    read |= {"source": "field", "status": "needs_review", "is_opening": False}
    assert said("readings", after=read) == (
        "Reading 1,117.5 kWh of meter M-17",
        "read on 12 Nov 2026 · field read · waits for a decision",
    )
    decided = {"status": "accepted", "decision_reason": "looked at the meter again"}
    assert said(
        "readings", "update", before={"status": "needs_review"}, after=decided, inserted=read
    ) == ("Reading 1,117.5 kWh of 12 Nov 2026 accepted", "looked at the meter again")


NEW_BILL = {
    "total_minor": 54_035,
    "currency": "INR",
    "amount_paid_minor": 0,
    "period_start": "2026-10-12",
    "period_end": "2026-11-12",
    "consumption_wh": 117_000,
}
ISSUED = {"number": 117, "status": "issued", "due_date": "2026-12-01"}


def test_missed_reads_requests_and_photos() -> None:
    missed = {"meter_id": METER, "reason": "dog", "missed_on": "2026-11-28", "note": "Two of them"}
    assert said("missed_reads", after=missed) == (
        "Meter M-17 could not be read: a dog",
        "visited on 28 Nov 2026 · Two of them",
    )
    asked = {"meter_id": METER, "reason": "Photo is blurred"}
    assert said("reading_requests", after=asked) == (
        "New reading of meter M-17 asked for",
        "Photo is blurred",
    )
    how: dict[str, Any] = {"before": {"done_at": None}, "inserted": asked}
    done = {"done_at": "2026-11-28T06:00:00+00:00"}
    assert said("reading_requests", "update", after=done | {"done_reading_id": OTHER}, **how) == (
        "New reading of meter M-17, as asked for, came in",
        "Photo is blurred",
    )
    assert said("reading_requests", "update", after=done, **how) == (
        "New reading of meter M-17 is not needed any more",
        "Photo is blurred",
    )
    assert said("meter_photos", after={"meter_id": METER}) == ("Photo of meter M-17 kept", "")


@pytest.mark.parametrize(
    ("before", "after", "what", "more"),
    [
        (
            {"status": "draft"},
            ISSUED,
            "Bill INV-000117 issued: ₹540.35",
            "12 Oct 2026 – 12 Nov 2026 · 117 kWh · due 1 Dec 2026",
        ),
        ({"amount_paid_minor": 0}, {"amount_paid_minor": 100}, "Bill INV-000117 partly paid", ""),
        ({"amount_paid_minor": 0}, {"amount_paid_minor": 54_035}, "Bill INV-000117 paid", ""),
        ({"amount_paid_minor": 500}, {"amount_paid_minor": 0}, "Bill INV-000117 is open again", ""),
        (
            {"overdue_since": None},
            {"overdue_since": "2026-12-02"},
            "Bill INV-000117 is overdue",
            "",
        ),
        (
            {"overdue_since": "2026-12-02"},
            {"overdue_since": None},
            "Bill INV-000117 is no longer overdue",
            "",
        ),
        (
            {"status": "issued"},
            {"status": "void", "void_reason": "wrong read"},
            "Bill INV-000117 made void",
            "wrong read",
        ),
        (
            {"payment_url": None},
            {"payment_url": "https://pay"},
            "Bill INV-000117 has a payment link",
            "",
        ),
        ({"held_because": None}, {"held_because": "long"}, "Bill INV-000117 changed", ""),
    ],
)
def test_what_became_of_a_bill(
    before: dict[str, Any], after: dict[str, Any], what: str, more: str
) -> None:
    inserted = NEW_BILL | before
    assert said("bills", "update", before=before, after=after, inserted=inserted) == (what, more)


def test_a_new_bill_is_a_draft_until_it_has_a_number() -> None:
    drawn = entry("bills", after=NEW_BILL | {"number": None}, names={})
    assert drawn.said.what == "Draft bill drawn up: ₹540.35"
    assert drawn.said.link == ("bill", BILL)
    assert said("bills", after=NEW_BILL | ISSUED)[0] == "Bill INV-000117 issued: ₹540.35"
    paid = {"before": {"amount_paid_minor": 0}, "after": {"amount_paid_minor": 10_000}}
    assert details("bills", "update", inserted=NEW_BILL, **paid) == [("Paid", "₹0.00", "₹100.00")]


def test_money_that_came_and_money_that_went_back() -> None:
    came = {"amount_minor": 10_000, "method": "bank", "reference": "T-7", "book": "account"}
    came |= MONEY | {"received_on": "2026-11-20"}
    assert said("payments", after=came) == (
        "Payment of ₹100.00",
        "bank transfer · T-7 · received on 20 Nov 2026",
    )
    deposit = entry("payments", after=came | {"book": "deposit"})
    assert (deposit.kind, deposit.said.what) == ("deposit", "Deposit of ₹100.00")
    found = {"before": {"customer_id": None}, "after": {"customer_id": CUSTOMER}}
    assert said("payments", "update", inserted=came, **found)[0] == (
        "Payment of ₹100.00 found to be from Meera Nair, account A-17"
    )
    back = {"kind": "refund", "amount_minor": 500, "reason": "twice", "status": "pending"} | MONEY
    assert said("payment_returns", after=back) == ("Refund of ₹5.00: asked of Stripe", "twice")
    failed = {"before": {"status": "pending"}, "after": {"status": "failed", "error": "no funds"}}
    assert said("payment_returns", "update", inserted=back, **failed) == (
        "Refund of ₹5.00: failed",
        "twice · no funds",
    )


def test_the_account_allocations_flags_links_and_corrections() -> None:
    fee = {"kind": "fee", "amount_minor": 9_965, "note": "Reconnection"} | MONEY
    assert said("adjustments", after=fee) == ("Fee: ₹99.65", "Reconnection")
    used = entry("deposit_uses", after={"kind": "deposit_used", "amount_minor": -500} | MONEY)
    assert (used.kind, used.said.what) == ("deposit", "Deposit used: ₹5.00")
    part = {"amount_minor": 500, "kind": "bill", "bill_id": BILL} | MONEY
    assert said("allocations", after=part) == ("Paid INV-000117", "₹5.00")
    taken = said("allocations", after=part | {"amount_minor": -500})
    assert taken == ("No longer pays INV-000117", "−₹5.00")
    flag = {"reason": "already_paid", "detail": ""}
    assert said("payment_flags", after=flag)[1].startswith("The bill it was for was paid already")
    seen = {"resolution": "refunded"}
    assert said("payment_flags", "update", after=seen) == ("Looked at", "refunded")
    link = {"bill_id": BILL, "amount_minor": 500, "active": True} | MONEY
    assert said("payment_links", after=link) == ("Payment link made", "INV-000117, ₹5.00")
    wrong = {"kind": "reading", "reason": "misread", "difference_minor": -1_000, "bills": 2} | MONEY
    assert said("corrections", after=wrong) == (
        "Reading corrected",
        "misread · 2 bills · ₹10.00 less",
    )
    spared = {"bill_id": BILL, "reason": "bank_debit"}
    assert said("spared_bills", after=spared)[0] == (
        "INV-000117 is not reminded of for now: the bank is paying it"
    )


def test_dunning_on_hold_and_going_on() -> None:
    hold = {"reason": "dispute", "note": "Says the meter is wrong", "until": "2026-12-24"}
    assert said("dunning_holds", after=hold) == (
        "Dunning on hold: a dispute, until 24 Dec 2026",
        "Says the meter is wrong",
    )
    ended = {"released_at": "2026-12-20T06:00:00+00:00", "released_because": "Meter was right"}
    assert said("dunning_holds", "update", before={"released_at": None}, after=ended) == (
        "Dunning goes on",
        "Meter was right",
    )


def test_the_customers_own_page() -> None:
    assert said("customer_sessions", after={"opened_by": "link"}) == (
        "Customer's page opened by a link",
        "",
    )
    confirmed = {"confirmed_at": "2026-12-20T06:00:00+00:00"}
    assert said("customer_sessions", "update", before={"confirmed_at": None}, after=confirmed) == (
        "Customer's page: the code was right",
        "",
    )
    left = {"ended_at": "2026-12-20T06:00:00+00:00", "ended_by": "customer:A-17"}
    assert said("customer_sessions", "update", before={"ended_at": None}, after=left) == (
        "Signed out of the customer's page",
        "",
    )
    dispute = {"kind": "dispute", "bill_id": BILL, "note": "Too much", "state": "open"}
    assert said("customer_requests", after=dispute) == (
        "The customer disputes INV-000117",
        "Too much",
    )
    answered = {"state": "declined", "answer": "It is right"}
    moving = {"kind": "move_out", "wanted_on": "2026-12-24", "state": "open"}
    assert said("customer_requests", "update", after=answered, inserted=moving) == (
        "Declined: the customer moves out on 24 Dec 2026",
        "It is right",
    )
    assert entry("customer_pages", actor="customer:A-17").by == "the customer (A-17)"


def test_tariffs_and_their_versions() -> None:
    assert said("tariffs", after={"name": "Domestic", "code": "D1"})[0] == "Tariff Domestic made"
    version = {"effective_from": "2027-01-01", "replaces_id": None, "correction_reason": ""}
    assert said("tariff_versions", after=version) == ("Version from 1 Jan 2027 published", "")
    mended = version | {"replaces_id": OTHER, "correction_reason": "a slab was missing"}
    assert said("tariff_versions", after=mended) == (
        "Version from 1 Jan 2027 corrected",
        "a slab was missing",
    )


def test_autopay_says_what_was_agreed_and_why_it_ended() -> None:
    new = {"consent": "I allow Green Valley to charge", "status": "opened"}
    assert said("autopay_mandates", after=new) == (
        "Autopay: the customer agreed",
        "I allow Green Valley to charge",
    )
    for status, why, words in (
        ("active", {"brand": "visa", "last4": "4242"}, ("Autopay is on", "visa 4242")),
        ("paused", {"paused_because": "No money"}, ("Autopay is paused", "No money")),
        ("ended", {"ended_because": "Asked by phone"}, ("Autopay has ended", "Asked by phone")),
    ):
        change = {"before": {"status": "opened"}, "after": {"status": status, **why}}
        assert said("autopay_mandates", "update", **change) == words


def test_a_table_that_nobody_wrote_words_for_still_reads_well() -> None:
    after = {
        "id": OTHER,
        "meter_id": METER,
        "unknown_id": "90000000-0000-4000-8000-000000000009",
        "fee_minor": 5_000,
        "visited_on": "2026-11-12",
        "agreed": True,
        "used_wh": 1_500,
        "created_at": "2026-11-28T06:00:00+00:00",
    } | MONEY
    one = entry("disconnection_notices", after=after)
    assert (one.said.what, one.kind) == ("Disconnection notice added", "other")
    assert [(d.label, d.after) for d in one.said.details] == [
        ("Meter", "M-17"),
        ("Fee", "₹50.00"),
        ("Visited", "12 Nov 2026"),
        ("Agreed", "yes"),
        ("Used", "1.5 kWh"),
        ("Currency", "INR"),
    ]
    changed = {"before": {"agreed": True}, "after": {"agreed": False, "lines": {"a": 1}}}
    assert details("disconnection_notices", "update", **changed) == [("Agreed", "yes", "no")]


@pytest.mark.parametrize(
    ("actor", "name"),
    [
        ("asha", "asha"),
        ("job:monthly_bills", "the monthly bills"),
        ("job:a_new_one", "the job (a new one)"),
        ("key:billing app", "the API key billing app"),
        ("cli:root", "root, at the command line"),
        ("system:stripe", "Stripe"),
        ("system:sign-out", "the system (sign out)"),
    ],
)
def test_who_did_it(actor: str, name: str) -> None:
    assert entry("customer_notes", after={"note": "x"}, actor=actor).by == name


def test_no_words_hold_ids_or_names_of_columns() -> None:
    full = NEW_BILL | ISSUED | {"id": BILL, "meter_id": METER, "customer_id": CUSTOMER}
    for table in TABLES:
        for action in ("insert", "update"):
            one = entry(table, action, before={"status": "draft"}, after=full, inserted=full)
            texts = [one.said.what, one.said.more]
            texts += [t for d in one.said.details for t in (d.label, d.before, d.after)]
            assert one.said.what
            for text in texts:
                assert "0000-4000" not in text, (table, text)
                assert "_id" not in text, (table, text)
                assert "_minor" not in text, (table, text)
                assert "None" not in text, (table, text)


def test_every_kind_has_tables_and_every_table_a_kind_to_choose() -> None:
    assert {kind for kind, _ in TABLES.values()} == set(KINDS)
    assert tables_of("note") == ["customer_notes"]
    assert tables_of("of nobody") == []


def test_what_happened_is_said_in_other_languages_with_their_numbers_and_days() -> None:
    spanish = Language.of("es")
    bill = entry("bills", "update", before={"status": "draft"}, after=ISSUED, inserted=NEW_BILL)
    assert spanish.write(bill.said.what) == "Factura INV-000117 emitida: 540,35\xa0INR"
    assert spanish.write(bill.said.more) == (
        "12 oct 2026 – 12 nov 2026 · 117 kWh · vence el 1 dic 2026"
    )
    added = entry("customers", after={"id": CUSTOMER, "name": "Meera", "one_statement": True})
    assert [spanish.write(one.label) for one in added.said.details] == [
        "Nombre",
        "Un solo estado de cuenta",
    ]
    assert spanish.write(added.said.details[1].after) == "sí"
    # What somebody wrote stays as it is, also where it is a word of ours.
    note = entry("customer_notes", after={"note": "Paid"}, actor="system:mailbox")
    assert (spanish.write(note.said.what), spanish.write(note.said.more)) == ("Nota", "Paid")
    assert spanish.write(note.by) == "el buzón"


@pytest.mark.parametrize("tag", ["es", "fr", "hi", "ar", "sw"])
def test_every_kind_has_its_name_in_each_language(tag: str) -> None:
    names = [Language.of(tag).gettext(name) for name in KINDS.values()]
    assert len(set(names)) == len(KINDS)
    assert tag == "fr" or set(names).isdisjoint(KINDS.values())
