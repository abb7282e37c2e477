"""What goes out on each channel, to whom, and what the log keeps of it."""

import json
import logging
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from llmock.pytest_plugin import LLMock
from pydantic import SecretStr

from services.ai.messages import AiMessageWriter
from services.ai.service import open_ai
from services.bootstrap_providers import Addresses, message_steps, open_providers, outside_checks
from services.database.errors import NotFound
from services.database.transports.postgres import DirectTransport
from services.importing.importer import Importer
from services.integrations.http import RequestRejected
from services.messages.templates import Message, TemplateWriter, WriteMessage
from services.outbox.outbox import MAX_ATTEMPTS, StepHandler
from services.records.entries import NewPayment
from services.settings import load_settings
from tests.integration.providers.conftest import MakeOffice, Office, Providers
from tests.integration.providers.published import (
    OWN_PATH,
    PHONE_ID,
    SHARED_PATH,
    STRIPE_KEY,
    TOKEN,
    WHATSAPP_TOKEN,
)
from tests.integration.providers.stand_in import Reply
from tests.integration.utility import ACTOR

AGREED = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def office(make_office: MakeOffice, own_webhook: str) -> Office:
    """An office whose one customer is reached on every channel."""
    made = make_office()
    made.add_customer(discord_webhook_url=own_webhook, whatsapp_opt_in_at=AGREED)
    return made


def submit(office: Office) -> str:
    """Submit a reading; the id of its bill, for which all was done."""
    answer = office.utility.submit("M1", 1117)
    assert answer.bill is not None
    done = {s.step: (s.status, s.detail) for s in answer.steps if s.step != 8}
    assert {status for status, _ in done.values()} == {"done"}, done
    return answer.bill.id


def test_the_shared_channel_gets_account_and_amount_and_nothing_else(
    office: Office, providers: Providers
) -> None:
    submit(office)
    (post,) = [s.json for s in providers.discord.accepted() if s.path == SHARED_PATH]
    (embed,) = post["embeds"]
    assert [(f["name"], f["value"]) for f in embed["fields"]] == [
        ("Account", r"A\-M1"),
        ("Amount", "₹540.35"),
    ]
    said = json.dumps(post)
    assert not any(secret in said for secret in ("House", "Hill", "http", "INV-"))


def test_a_customers_own_webhook_gets_the_whole_bill(office: Office, providers: Providers) -> None:
    bill = office.database.bill(submit(office))
    (post,) = [s.json for s in providers.discord.accepted() if s.path == OWN_PATH]
    fields = {f["name"]: f["value"] for f in post["embeds"][0]["fields"]}
    assert fields["To pay"] == "₹540.35"
    assert fields["Pay online"] == bill.payment_url
    assert set(fields) == {"To pay", "Period", "Due", "Pay online"}
    assert post["content"].startswith("Your electricity bill INV-000001 is ready.")
    assert f"Pay here: {bill.payment_url}" in post["content"].splitlines()


def test_whatsapp_gets_the_approved_template_filled_by_code(
    office: Office, providers: Providers
) -> None:
    bill = office.database.bill(submit(office))
    (sent,) = providers.whatsapp.accepted()
    body = sent.json
    assert body["to"] == "+919876543210"
    assert body["template"]["name"] == "electricity_bill_issued"
    texts = [p["text"] for p in body["template"]["components"][0]["parameters"]]
    assert (texts[0], texts[2], texts[4]) == ("INV-000001", "₹540.35", bill.payment_url)
    assert body["biz_opaque_callback_data"] == office.log(bill.id)["whatsapp"].id


def test_the_log_has_each_message_with_its_recipient_masked(office: Office) -> None:
    log = office.log(submit(office))
    assert {c: (s.status, s.recipient, s.attempts) for c, s in log.items()} == {
        "discord": ("sent", "shared channel", 1),
        "discord_customer": ("sent", "webhook …6655", 1),
        "whatsapp": ("sent", "+91…3210", 1),
    }
    assert all(sent.message_id and sent.body for sent in log.values())
    assert "540.35" in log["whatsapp"].body


def test_a_channel_that_is_left_out_is_logged_with_why_and_what_would_go_out(
    make_office: MakeOffice, providers: Providers
) -> None:
    office = make_office(without=("DISCORD_WEBHOOK_URL",))
    office.add_customer()
    log = office.log(submit(office))
    assert {c: (s.status, s.error) for c, s in log.items()} == {
        "discord": ("not_configured", "not configured"),
        "discord_customer": ("not_configured", "the customer has no webhook"),
        "whatsapp": ("not_configured", "the customer has not agreed to it"),
    }
    assert log["discord"].body == "Electricity bill\nAccount: A\\-M1\nAmount: ₹540.35"
    assert "you used 117 kWh" in log["discord_customer"].body
    assert "To pay: ₹540.35" in log["whatsapp"].body
    assert providers.discord.seen == providers.whatsapp.seen == []


WITHOUT_CHANNEL = {"DEMO": "off"}
# All is set, and the demo still sends nothing.
IN_DEMO = {
    "DEMO": "on",
    "STRIPE_SECRET_KEY": STRIPE_KEY,
    "STRIPE_WEBHOOK_SECRET": "whsec_x",
    "DISCORD_WEBHOOK_URL": "http://127.0.0.1:9/api/webhooks/1/x",
    "WHATSAPP_TOKEN": WHATSAPP_TOKEN,
    "WHATSAPP_PHONE_NUMBER_ID": PHONE_ID,
    "OPENAI_API_KEY": "sk-x",
    "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
}


@pytest.mark.parametrize(
    ("given", "why"),
    [(WITHOUT_CHANNEL, "no channel to customers has settings"), (IN_DEMO, "the demo sends")],
)
def test_without_a_channel_and_in_the_demo_the_message_is_kept_and_nobody_gets_it(
    make_office: MakeOffice, providers: Providers, own_webhook: str, given: dict[str, str], why: str
) -> None:
    office = make_office()
    office.add_customer(discord_webhook_url=own_webhook, whatsapp_opt_in_at=AGREED)
    settings = load_settings({"DATABASE_URL": office.dsn} | given)
    transport = DirectTransport(office.dsn)
    wired = open_providers(settings, transport)
    office.utility.services.outbox.handlers = wired.step_handlers
    bill = office.utility.submit("M1", 1117).bill
    assert bill is not None
    assert office.outbox(bill.id) == (
        "finished",
        {
            8: ("skipped", "not configured"),
            9: ("skipped", "not configured"),
            10: ("skipped", "not configured"),
            11: ("done", "written from a template"),
            12: ("skipped", "not configured"),
            13: ("done", "kept in the log, not sent"),
        },
    )
    (row,) = office.database.notifications(bill_id=bill.id).items
    assert (row.channel, row.status, row.attempts) == ("none", "not_configured", 0)
    assert why in row.error
    assert "Your electricity bill INV-000001 is ready." in row.body
    assert providers.discord.seen == providers.whatsapp.seen == providers.stripe.seen == []
    assert office.database.failed_work().total == 0
    wired.close()
    transport.close()


def test_what_ai_wrote_never_goes_to_the_shared_channel(
    make_office: MakeOffice, providers: Providers, own_webhook: str, llmock: LLMock
) -> None:
    llmock.reply(json.dumps({"text": "Namaste {name}! {amount} by {due_date}: {link}"}))
    office = make_office()
    office.add_customer(discord_webhook_url=own_webhook)
    transport = DirectTransport(office.dsn)
    ai = open_ai(
        load_settings({"OPENAI_API_KEY": "sk-x", "OPENAI_BASE_URL": llmock.base_url()}), transport
    )
    assert ai is not None
    writer = AiMessageWriter(ai, TemplateWriter(lambda: "Utility"), Message)
    steps = office.utility.services.outbox
    steps.handlers = {**steps.handlers, 11: WriteMessage(office.database, writer, date.today)}
    log = office.log(submit(office))
    posts = {s.path: json.dumps(s.json) for s in providers.discord.accepted()}
    assert "Namaste House M1! " in posts[OWN_PATH]
    assert not any(word in posts[SHARED_PATH] for word in ("Namaste", "House", "http"))
    assert "Namaste" not in log["discord"].body
    ai.close()
    transport.close()


def test_nobody_who_did_not_agree_is_written_to_on_whatsapp(
    make_office: MakeOffice, providers: Providers
) -> None:
    office = make_office()
    office.add_customer()
    log = office.log(submit(office))
    assert log["whatsapp"].error == "the customer has not agreed to it"
    assert providers.whatsapp.seen == []


def test_without_a_country_code_nobody_is_guessed_at(
    make_office: MakeOffice, providers: Providers
) -> None:
    office = make_office()
    office.add_customer(whatsapp_opt_in_at=AGREED)
    office.sql("update public.customers set phone = '098765 43210'")
    assert "country code" in office.log(submit(office))["whatsapp"].error
    assert providers.whatsapp.seen == []


def test_a_webhook_that_is_not_discords_is_never_called(
    make_office: MakeOffice, providers: Providers
) -> None:
    office = make_office()
    office.add_customer(discord_webhook_url="https://169.254.169.254/api/webhooks/1/x")
    strict = steps_with_the_real_check(office, providers)
    office.utility.services.outbox.handlers = strict
    bill = office.utility.submit("M1", 1117).bill
    assert bill is not None
    assert "not one of Discord" in office.log(bill.id)["discord_customer"].error


def steps_with_the_real_check(office: Office, providers: Providers) -> dict[int, StepHandler]:
    """Steps 11 to 13 as they are outside of tests."""
    settings = load_settings(
        {"DISCORD_WEBHOOK_URL": f"{providers.discord.url}{SHARED_PATH}", "DATABASE_URL": office.dsn}
    )
    writer = TemplateWriter(lambda: "Utility")
    return message_steps(settings=settings, database=office.database, writer=writer)


def test_without_a_link_the_customer_is_told_the_office_reference(
    make_office: MakeOffice, providers: Providers, own_webhook: str
) -> None:
    office = make_office(without=("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"))
    office.add_customer(discord_webhook_url=own_webhook, whatsapp_opt_in_at=AGREED)
    answer = office.utility.submit("M1", 1117)
    assert answer.steps[8].detail == "not configured"
    (sent,) = providers.whatsapp.accepted()
    texts = [p["text"] for p in sent.json["template"]["components"][0]["parameters"]]
    assert texts[4] == "at our office with the reference INV-000001"
    (post,) = [s.json for s in providers.discord.accepted() if s.path == OWN_PATH]
    assert "Pay at our office with the reference INV-000001" in post["content"]


def owe_reminder(office: Office) -> None:
    """As the job does: remind of what is due within three days."""
    outbox = office.utility.services.outbox.plan_for_any("payment_reminder")
    ((due,),) = office.sql("select due_date from bills")
    claimed, run = office.database.claim_job_run(
        job="payment_reminders",
        scheduled_on=due,
        owner="test",
        lease_seconds=60,
        started_by="test",
    )
    assert claimed
    key = run.ref(lease_seconds=60)
    count, after = office.database.queue_reminders(
        run=key, today=due - timedelta(days=3), until=due, limit=10, outbox=outbox
    )
    assert after is None
    assert count == 1


def test_a_reminder_is_sent_once_and_not_at_all_when_the_bill_is_paid_by_then(
    office: Office, providers: Providers
) -> None:
    bill = office.database.bill(submit(office))
    owe_reminder(office)
    paid = {"id": bill.id, "bill_id": bill.id, "amount_minor": bill.balance_minor}
    paid |= {"currency": "INR", "method": "cash", "reference": "", "received_at": AGREED}
    before = len(providers.whatsapp.seen)
    office.database.record_payments(
        actor=ACTOR, payments=[NewPayment.model_validate(paid | {"received_on": "2026-01-01"})]
    )
    office.later()
    work = office.database.outbox_of(bill.id)[1]
    assert work.status == "finished"
    assert work.steps[12].detail == "nothing sent: the bill is paid by now"
    assert len(providers.whatsapp.seen) == before


def test_a_reminder_goes_out_in_its_own_template(office: Office, providers: Providers) -> None:
    submit(office)
    owe_reminder(office)
    office.later()
    names = [s.json["template"]["name"] for s in providers.whatsapp.accepted()]
    assert names == ["electricity_bill_issued", "electricity_payment_reminder"]


def test_a_disconnection_notice_reaches_who_wants_no_messages_and_counts_from_that_day(
    make_office: MakeOffice, providers: Providers
) -> None:
    office = make_office()
    office.add_customer(whatsapp_opt_in_at=AGREED, opted_out_at=AGREED)
    bill = office.utility.submit("M1", 1117).bill
    assert bill is not None
    assert providers.whatsapp.accepted() == []
    office.sql("update bills set overdue_since = due_date + 1")
    office.sql(
        "select private.take_dunning(jsonb_build_array(to_jsonb(x)), jsonb_build_object("
        " 'today', current_date, 'owed', %s::jsonb))"
        " from (select customer_id, currency, id as bill_id, '' as occasion, 'notice+14' as step,"
        " 'notice' as action, 14 as day, null::uuid as policy_id, total_minor as amount_minor,"
        " 0 as fee_minor, 0 as tax_minor from bills) x",
        json.dumps(office.utility.services.outbox.plan_for_any("disconnection_notice")),
    )
    office.later()
    (sent,) = providers.whatsapp.accepted()
    assert sent.json["template"]["name"] == "electricity_disconnection_notice"
    texts = [p["text"] for p in sent.json["template"]["components"][0]["parameters"]]
    assert texts[:2] == ["₹540.35", "A-M1"]
    _, run = office.database.claim_job_run(
        job="overdue_marking",
        scheduled_on=date(2026, 1, 1),
        owner="test",
        lease_seconds=60,
        started_by="test",
    )
    ref = run.ref(lease_seconds=60)
    given = office.database.dunning.note_notices_given(actor="job", run=ref, zone="UTC")
    assert given == 1
    ((notice,), _) = office.database.dunning.history(limit=5)
    assert (notice.given_on, notice.given_by) == (datetime.now(UTC).date(), "system:messages")
    office.sql(
        "update notifications set status = 'undelivered' where kind = 'disconnection_notice'"
    )
    assert office.database.dunning.note_notices_given(actor="job", run=ref, zone="UTC") == 0
    ((notice,), _) = office.database.dunning.history(limit=5)
    assert notice.given_on is None, "it came back"


def billed(office: Office) -> str:
    """Submit a reading, whatever becomes of its message; the id of its bill."""
    bill = office.utility.submit("M1", 1117).bill
    assert bill is not None
    return bill.id


def sent_names(providers: Providers) -> list[str]:
    """The templates that WhatsApp took, in turn."""
    return [sent.json["template"]["name"] for sent in providers.whatsapp.accepted()]


def test_of_a_bills_messages_the_latest_that_is_true_goes_out_after_an_outage(
    office: Office, providers: Providers
) -> None:
    with providers.whatsapp.away():
        bill_id = billed(office)
        owe_reminder(office)
        office.later()
    first, reminder = office.database.outbox_of(bill_id)
    # The bill's message was overtaken before the reminder was tried.
    assert (first.status, reminder.attempts) == ("finished", 1)
    assert sent_names(providers) == []
    for _ in range(2):
        office.later()
    assert sent_names(providers) == ["electricity_payment_reminder"]
    first, reminder = office.database.outbox_of(bill_id)
    assert "the payment reminder overtook it" in first.steps[12].detail


def test_thanks_wait_for_their_bills_message_and_waiting_is_no_attempt(
    office: Office, providers: Providers
) -> None:
    with providers.whatsapp.away():
        bill_id = billed(office)
        pay = {"id": str(uuid4()), "bill_id": bill_id, "amount_minor": 100, "currency": "INR"}
        pay |= {"method": "cash", "reference": "", "received_at": AGREED}
        outbox = office.utility.services.outbox.on_money()
        pay |= {"received_on": "2026-01-01"}
        office.database.record_payments(
            actor=ACTOR, payments=[NewPayment.model_validate(pay)], outbox=outbox
        )
        office.later()
    assert attempts(office, bill_id) == {"bill_issued": 2, "payment_received": 0}
    # The bill's own pause is not over, the thanks are due.
    office.utility.services.outbox.sweep()
    assert sent_names(providers) == []
    for _ in range(2):
        office.later()
    assert sent_names(providers) == ["electricity_bill_issued", "electricity_payment_received"]


def attempts(office: Office, bill_id: str) -> dict[str, int]:
    """How often each message of a bill was tried."""
    work = office.database.outbox_of(bill_id)
    return {w.kind: w.attempts for w in work if w.kind != "balance_changed"}


def test_after_an_outage_past_the_due_date_only_the_notice_goes_out(
    office: Office, providers: Providers
) -> None:
    with providers.whatsapp.away():
        bill_id = billed(office)
        owe_reminder(office)
        office.sql(
            "insert into public.outbox (id, bill_id, kind, steps, status, created_at)"
            " select gen_random_uuid(), bill_id, 'overdue_notice', steps, 'open',"
            " now() + interval '1 second' from public.outbox"
            " where bill_id = %s and kind = 'payment_reminder'",
            bill_id,
        )
        due_in_the_past(office, bill_id)
    for _ in range(3):
        office.later()
    assert sent_names(providers) == ["electricity_payment_overdue"]
    issued, reminder, _ = office.database.outbox_of(bill_id)
    assert "the overdue notice overtook it" in issued.steps[12].detail
    assert "its due date has passed" in reminder.steps[11].detail


def test_a_text_that_waited_past_the_due_date_is_written_again(
    office: Office, providers: Providers
) -> None:
    with providers.discord.away(), providers.whatsapp.away():
        bill_id = billed(office)
        due_in_the_past(office, bill_id)
    office.later()
    said = office.log(bill_id)["discord_customer"].body
    assert "It was due on" in said
    assert "Please pay by" not in said


def due_in_the_past(office: Office, bill_id: str) -> None:
    """As if weeks had gone by since the bill was issued."""
    office.sql("alter table public.bills disable trigger user")
    office.sql("update public.bills set due_date = '2026-01-02' where id = %s", bill_id)
    office.sql("alter table public.bills enable trigger user")


def test_a_message_that_was_given_up_does_not_keep_back_the_next(
    office: Office, providers: Providers
) -> None:
    providers.whatsapp.faults += [Reply(500, b"{}")] * MAX_ATTEMPTS
    bill_id = billed(office)
    for _ in range(MAX_ATTEMPTS):
        office.later()
    owe_reminder(office)
    office.later()
    assert [work.status for work in office.database.outbox_of(bill_id)] == [
        "given_up",
        "finished",
    ]
    assert sent_names(providers) == ["electricity_payment_reminder"]


def test_a_bill_whose_graph_is_away_keeps_back_no_message(
    office: Office, providers: Providers
) -> None:
    bill_id = submit(office)
    office.sql(
        "update public.outbox set status = 'open', finished_at = null,"
        " next_attempt_at = now() + interval '1 hour',"
        " steps = jsonb_set(steps, '{8}', '{\"status\": \"pending\"}') where bill_id = %s",
        bill_id,
    )
    owe_reminder(office)
    office.utility.services.outbox.sweep()
    assert sent_names(providers) == ["electricity_bill_issued", "electricity_payment_reminder"]


def pay(office: Office, bill_id: str, *amounts: int) -> list[str]:
    """Pay parts of a bill at the office, each owing its thanks; the payments' ids."""
    ids = [str(uuid4()) for _ in amounts]
    fields = {"bill_id": bill_id, "currency": "INR", "method": "cash", "reference": ""}
    fields |= {"received_at": AGREED, "received_on": "2026-01-01"}
    office.database.record_payments(
        actor=ACTOR,
        payments=[
            NewPayment.model_validate({"id": i, "amount_minor": amount, **fields})
            for i, amount in zip(ids, amounts, strict=True)
        ],
        outbox=office.utility.services.outbox.on_money(),
    )
    return ids


def test_each_payment_of_a_bill_is_thanked_for_once(office: Office, providers: Providers) -> None:
    bill_id = submit(office)
    first, second = pay(office, bill_id, 20000, 34035)
    office.later()
    office.later()
    told = [s.json for s in providers.whatsapp.accepted()][1:]
    assert {t["template"]["name"] for t in told} == {"electricity_payment_received"}
    texts = [[p["text"] for p in t["template"]["components"][0]["parameters"]] for t in told]
    assert sorted((text[0], *text[2:]) for text in texts) == [
        ("₹200.00", "INV-000001", "₹0.00", "nothing now"),
        ("₹340.35", "INV-000001", "₹0.00", "nothing now"),
    ]
    logged = {
        payment: {
            row.channel: row.status
            for row in office.database.notifications(
                bill_id=bill_id, kind="payment_received", occasion=payment
            ).items
        }
        for payment in (first, second)
    }
    sent = dict.fromkeys(("discord", "discord_customer", "whatsapp"), "sent")
    assert logged == {first: sent, second: sent}
    assert office.database.check_ledger().problems == ()


def test_thanks_say_what_is_left_and_the_shared_channel_only_what_was_paid(
    office: Office, providers: Providers
) -> None:
    bill_id = submit(office)
    pay(office, bill_id, 20000)
    office.later()
    link = office.database.bill(bill_id).payment_url
    posts = {s.path: s.json for s in providers.discord.accepted()}
    assert [(f["name"], f["value"]) for f in posts[SHARED_PATH]["embeds"][0]["fields"]] == [
        ("Account", r"A\-M1"),
        ("Paid", "₹200.00"),
    ]
    own = {f["name"]: f["value"] for f in posts[OWN_PATH]["embeds"][0]["fields"]}
    assert (own["Paid"], own["Left to pay"], own["Pay online"]) == ("₹200.00", "₹340.35", link)
    assert "received your payment of ₹200.00" in posts[OWN_PATH]["content"]


def test_thanks_that_could_not_go_out_go_out_when_tried_again(
    office: Office, providers: Providers
) -> None:
    bill_id = submit(office)
    (payment,) = pay(office, bill_id, 20000)
    for service in (providers.discord, providers.whatsapp):
        service.stop()
    for _ in range(MAX_ATTEMPTS):
        office.later()
    (work,) = [w for w in office.database.failed_work().items if w.kind == "payment_received"]
    for service in (providers.discord, providers.whatsapp):
        service.start()
    office.database.retry_outbox(actor=ACTOR, work_id=work.id)
    office.later()
    rows = office.database.notifications(bill_id=bill_id, occasion=payment).items
    assert {row.channel: row.status for row in rows} == dict.fromkeys(
        ("discord", "discord_customer", "whatsapp"), "sent"
    )


def test_a_correction_is_told_of_once(office: Office, providers: Providers) -> None:
    bill_id = submit(office)
    owe_correction(office, bill_id)
    office.later()
    office.later()
    (told,) = [s.json for s in providers.whatsapp.accepted()][1:]
    assert told["template"]["name"] == "electricity_bill_corrected"
    texts = [p["text"] for p in told["template"]["components"][0]["parameters"]]
    assert texts[:4] == ["INV-000003", "INV-000007", "₹12.00 more than before", "₹540.35"]
    row = next(n for n in office.database.notifications(kind="bill_corrected").items)
    assert (row.occasion, row.status) == ("INV-000003", "sent")


def owe_correction(office: Office, bill_id: str) -> None:
    """As voiding and rebilling does."""
    steps = office.utility.services.outbox.plan_for_any("bill_corrected")["steps"]
    facts = {"voided": "INV-000003", "issued": "INV-000007", "difference_minor": "1200"}
    office.sql(
        "insert into public.outbox (id, bill_id, kind, occasion, facts, steps, status)"
        " values (gen_random_uuid(), %s, 'bill_corrected', 'INV-000003', %s, %s, 'open')",
        bill_id,
        json.dumps(facts | {"currency": "INR"}),
        json.dumps(steps),
    )


def test_a_webhooks_address_stands_in_no_audit_row_no_log_and_no_list(
    office: Office, providers: Providers, caplog: pytest.LogCaptureFixture, own_webhook: str
) -> None:
    caplog.set_level(logging.DEBUG)
    providers.discord.stop()
    bill = office.utility.submit("M1", 1117).bill
    providers.discord.start()
    assert bill is not None
    office.later()
    rows = [{"account_no": "A-M1", "discord_webhook_url": f"{own_webhook}2"}]
    assert office.database.set_customer_channels(actor=ACTOR, rows=rows) == 1
    kept = office.sql("select to_jsonb(a)::text from public.audit_log a")
    kept += office.sql("select to_jsonb(n)::text from public.notification_list n")
    kept += office.sql("select to_jsonb(o)::text from public.outbox o")
    kept += office.sql("select to_jsonb(c)::text from public.customers c")
    assert len(kept) > 5
    assert not [row for (row,) in kept if TOKEN in row]
    assert TOKEN not in caplog.text
    contact = office.database.customer_contact(bill.customer_id)
    assert TOKEN not in repr(contact)
    (change,) = office.sql(
        "select before ->> 'discord_webhook_url', after ->> 'discord_webhook_url'"
        " from public.audit_log where table_name = 'customer_channels' and action = 'update'"
    )
    assert change[0] != change[1]
    assert all(text.startswith("kept, fingerprint ") for text in change)


def test_what_is_not_named_stays_and_null_takes_away(office: Office) -> None:
    (customer,) = office.sql("select id from public.customers")
    set_to = office.database.set_customer_channels
    assert set_to(actor=ACTOR, rows=[{"account_no": "A-M1"}]) == 0
    assert set_to(actor=ACTOR, rows=[{"account_no": "A-M1", "whatsapp_opt_in_at": None}]) == 1
    contact = office.database.customer_contact(str(customer[0]))
    assert contact.whatsapp_opt_in_at is None
    assert contact.discord_webhook_url is not None
    with pytest.raises(NotFound):
        set_to(actor=ACTOR, rows=[{"account_no": "nobody"}])


def test_an_import_may_say_how_customers_are_reached(office: Office) -> None:
    importer = Importer(office.database, office.utility.services.settings.timezone)
    header = "account_no,name,email,phone,address,discord_webhook,whatsapp_opt_in\n"
    row = "B-1,New House,,+91 98765 43211,x,https://discord.com/api/webhooks/12/ab_c,yes\n"
    now = datetime.now(UTC)
    for at in (now, now + timedelta(days=1)):
        assert importer.customers(f"{header}{row}".encode(), actor=ACTOR, now=at).ok
    (customer,) = office.sql("select id from public.customers where account_no = 'B-1'")
    contact = office.database.customer_contact(str(customer[0]))
    assert contact.whatsapp_opt_in_at == now, "imported again, it is not a new consent"
    assert contact.discord_webhook_url == SecretStr("https://discord.com/api/webhooks/12/ab_c")
    wrong = "B-2,House,,12345,x,https://example.org/hook,maybe\nB-3,House,,12345,x,,yes\n"
    report = importer.customers(f"{header}{wrong}".encode(), actor=ACTOR, now=now)
    assert [(e.row, e.column) for e in report.errors] == [
        (2, "discord_webhook"),
        (2, "whatsapp_opt_in"),
        (3, "phone"),
    ]


def test_each_service_is_tested_without_sending_anything(providers: Providers) -> None:
    environ = {
        "DISCORD_WEBHOOK_URL": f"{providers.discord.url}{SHARED_PATH}",
        "WHATSAPP_TOKEN": WHATSAPP_TOKEN,
        "WHATSAPP_PHONE_NUMBER_ID": PHONE_ID,
    }
    at = Addresses(whatsapp=providers.whatsapp.url, timeout_seconds=1)
    settings = load_settings(environ)
    stripe, discord, whatsapp, *_ = outside_checks(settings=settings, links=None, addresses=at)
    assert not stripe.configured
    assert "knows our webhook" in discord.check()
    assert "knows our number" in whatsapp.check()
    assert {s.method for s in (*providers.discord.seen, *providers.whatsapp.seen)} == {"GET"}
    wrong = load_settings(environ | {"WHATSAPP_TOKEN": "x"})
    with pytest.raises(RequestRejected, match="WHATSAPP_TOKEN"):
        outside_checks(settings=wrong, links=None, addresses=at)[2].check()
