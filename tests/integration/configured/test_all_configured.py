"""Story 1 with every outside system configured: thirteen steps done, and found in each system."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from llmock.pytest_plugin import LLMock

from services.bootstrap import run_with, running_checks
from tests.integration.ai.advised import LINES, bill, verdict
from tests.integration.configured.servers import (
    ADDRESS,
    EMAIL,
    ENGINEER,
    NAME,
    PHONE,
    STRIPE_KEY,
    UTILITY,
    Json,
    Servers,
)
from tests.integration.providers.published import OWN_PATH, PHONE_ID, SHARED_PATH
from tests.mail_server import body_of

SERIAL, ACCOUNT = "MTR-4711", "A-MTR-4711"
WORDS = "Namaste {name}! {amount} for {usage}, please pay by {due_date}: {link}"
ALL_DONE = dict.fromkeys(range(1, 14), "done")
NOT_OUTSIDE = ("Backups", "Disk", "Scheduler", "Smart-meter head-end")
PERSONAL = (NAME, EMAIL, PHONE, PHONE[3:], ADDRESS)


def test_a_reading_becomes_a_bill_that_stands_in_every_system(
    servers: Servers, llmock: LLMock
) -> None:
    llmock.reply(verdict(reason="Like last year.")).reply(bill()).reply(json.dumps({"text": WORDS}))
    token = servers.sign_in()
    with servers.app() as app:
        health = app.health()
        assert health.pop("https") == "this machine only"
        assert health.pop("backup") == "not configured", "Supabase makes its own"
        assert health.pop("openid") == "not configured", "Auth0 stands in its place"
        assert set(health.values()) == {"ok", "stopped", "configured"}, health
        reading = app.add_household(SERIAL)
        status, answer = app.submit(reading, token)
        assert status == 201, answer
        assert statuses(answer) == ALL_DONE, answer["steps"]
        the_steps_tell_what_was_done(answer)
        the_rows_are_there_over_rest(servers, answer)
        the_graph_has_the_bill_and_what_it_hangs_on(servers, answer)
        stripe_was_asked_for_exactly_this_bill(servers, answer)
        discord_got_the_whole_bill_and_the_shared_note(servers, answer)
        whatsapp_got_the_approved_template(servers, answer)
        the_mail_has_the_text_and_the_bill(servers, answer)
        ai_was_asked_three_times_and_told_nothing_personal(llmock, answer)
        status, again = app.submit(reading, token)
    assert (status, again["bill"], statuses(again)) == (200, answer["bill"], ALL_DONE)
    providers = servers.providers
    assert [len(s.seen) for s in (providers.stripe, providers.discord, providers.whatsapp)] == [
        1,
        2,
        1,
    ]
    assert len(llmock.requests) == 3, "a repeat asks nobody anything"


def test_the_services_page_finds_every_system_there(servers: Servers) -> None:
    with servers.app() as app:
        run_with(app.services)
        try:
            checks = running_checks()
            checks.test_all(now=datetime.now(UTC))
        finally:
            run_with(None)
    found = {s.name: s.last_test for s in checks.states() if s.name not in NOT_OUTSIDE}
    assert len(found) == 9
    assert all(test and test.well for test in found.values()), found


def statuses(answer: Json) -> dict[int, str]:
    return {step["step"]: step["status"] for step in answer["steps"]}


def the_steps_tell_what_was_done(answer: Json) -> None:
    said = {step["step"]: step["detail"] for step in answer["steps"]}
    assert said[3] == f"{ENGINEER}, engineer"
    assert said[5] == "All rules passed. AI: plausible (90% sure). Like last year."
    assert said[6] == "117 kWh, ₹540.35. AI agrees to the cent."
    assert said[7] == answer["bill"]["number"] == "INV-000001"
    assert said[9] == "for ₹540.35"
    assert said[11].startswith("written by AI")
    assert said[12] == "Discord: sent; Customer's Discord: sent; WhatsApp: sent; E-mail: sent"
    assert said[13] == "4 entries in the log"


def the_rows_are_there_over_rest(servers: Servers, answer: Json) -> None:
    bill_id, reading_id = answer["bill"]["id"], answer["reading"]["id"]
    of_bill = {"bill_id": f"eq.{bill_id}"}
    (reading,) = servers.supabase.rows("readings", id=f"eq.{reading_id}")
    assert (reading["register_wh"], reading["status"]) == (1_117_000, "accepted")
    assert (reading["source"], reading["submitted_by"]) == ("field", ENGINEER)
    assert reading["validation"]["ai"]["verdict"] == "plausible"
    (row,) = servers.supabase.rows("bills", id=f"eq.{bill_id}")
    assert (row["status"], row["total_minor"], row["currency"]) == ("issued", 54_035, "INR")
    assert row["closing_reading_id"] == reading_id
    assert row["second_opinion"]["total"] == "540.35"
    lines = servers.supabase.rows("bill_lines", **of_bill, order="position")
    expected = {code: int(amount.replace(".", "")) for code, amount in LINES.items()}
    assert {line["code"]: line["amount_minor"] for line in lines} == expected
    (link,) = servers.supabase.rows("payment_links", **of_bill)
    assert (link["amount_minor"], link["currency"], link["active"]) == (54_035, "INR", True)
    assert link["url"] == row["payment_url"] == answer["bill"]["payment_url"]
    (outbox,) = servers.supabase.rows("outbox", **of_bill)
    assert (outbox["status"], outbox["attempts"]) == ("finished", 1)
    assert {int(n): step["status"] for n, step in outbox["steps"].items()} == dict.fromkeys(
        range(8, 14), "done"
    )
    sent = {row["channel"]: row for row in servers.supabase.rows("notifications", **of_bill)}
    assert {channel: (row["status"], row["recipient"]) for channel, row in sent.items()} == {
        "discord": ("sent", "shared channel"),
        "discord_customer": ("sent", "webhook …6655"),
        "whatsapp": ("sent", "+91…3210"),
        # Who is reached needs no SMS.
        "email": ("sent", "h…@mill-lane.example"),
    }
    assert {row["message_id"] for row in sent.values()} == message_ids(servers)
    calls = servers.supabase.rows("ai_calls", order="created_at")
    assert [(call["purpose"], call["outcome"]) for call in calls] == [
        ("validate_reading", "answered"),
        ("calculate_bill", "answered"),
        ("write_message", "answered"),
    ]


def message_ids(servers: Servers) -> set[str]:
    """The ids that Discord and WhatsApp gave in their answers, and ours of mails."""
    discord = {json.loads(reply.body)["id"] for _, reply in servers.providers.discord.answered}
    whatsapp = {
        json.loads(r.body)["messages"][0]["id"] for _, r in servers.providers.whatsapp.answered
    }
    return discord | whatsapp | {str(mail["Message-ID"]) for mail in servers.mail.mails}


def the_graph_has_the_bill_and_what_it_hangs_on(servers: Servers, answer: Json) -> None:
    found = servers.graph.cypher(
        """
        MATCH (bill:Bill {id: $id})-[:BILLS]->(meter:Meter)<-[:HAS_METER]-(customer:Customer),
              (meter)-[:FED_BY]->(transformer:Transformer)-[:ON]->(feeder:Feeder),
              (bill)-[:FROM]->(opening:Reading)-[:OF]->(meter),
              (bill)-[:TO]->(closing:Reading)-[:OF]->(meter),
              (tariff:Tariff)-[:PRICED]->(bill)
        RETURN bill.number AS number, bill.total_minor AS total_minor, meter.serial AS serial,
               customer.account_no AS account, transformer.code AS transformer,
               feeder.code AS feeder, tariff.code AS tariff, opening.register_wh AS opened_at,
               closing.id AS closing_id, closing.register_wh AS closed_at
        """,
        id=answer["bill"]["id"],
    )
    assert found == [
        {
            "number": 1,
            "total_minor": 54_035,
            "serial": SERIAL,
            "account": ACCOUNT,
            "transformer": "T-MILL",
            "feeder": "F-EAST",
            "tariff": "KSEB-LT1A",
            "opened_at": 1_000_000,
            "closing_id": answer["reading"]["id"],
            "closed_at": 1_117_000,
        }
    ]
    has_none_of(
        PERSONAL, servers.graph.cypher("MATCH (node) RETURN properties(node) AS properties")
    )


def stripe_was_asked_for_exactly_this_bill(servers: Servers, answer: Json) -> None:
    ((asked, given),) = servers.providers.stripe.answered
    assert (asked.method, asked.path, given.status) == ("POST", "/v1/payment_links", 200)
    assert json.loads(given.body)["url"] == answer["bill"]["payment_url"]
    bill_id = answer["bill"]["id"]
    assert asked.headers["authorization"] == f"Bearer {STRIPE_KEY}"
    assert asked.headers["idempotency-key"] == f"payment-link/{bill_id}/54035-INR"
    form = dict(parse_qsl(asked.body.decode(), strict_parsing=True))
    assert form["line_items[0][price_data][unit_amount]"] == "54035"
    assert form["line_items[0][price_data][currency]"] == "inr"
    assert form["line_items[0][quantity]"] == "1"
    assert form["metadata[bill_id]"] == form["payment_intent_data[metadata][bill_id]"] == bill_id
    assert form["restrictions[completed_sessions][limit]"] == "1"
    has_none_of((*PERSONAL, ACCOUNT, SERIAL), form)


def discord_got_the_whole_bill_and_the_shared_note(servers: Servers, answer: Json) -> None:
    posts = {seen.path: seen.json for seen in servers.providers.discord.accepted()}
    assert set(posts) == {SHARED_PATH, OWN_PATH}
    shared, own = posts[SHARED_PATH], posts[OWN_PATH]
    assert "content" not in shared
    assert fields_of(shared) == {"Account": r"A\-MTR\-4711", "Amount": "₹540.35"}
    link = answer["bill"]["payment_url"]
    has_none_of((*PERSONAL, SERIAL, "INV-", "http", "kWh"), shared)
    assert set(fields_of(own)) == {"To pay", "Period", "Due", "Pay online"}
    assert (fields_of(own)["To pay"], fields_of(own)["Pay online"]) == ("₹540.35", link)
    assert own["content"].startswith(f"Namaste {NAME}! ₹540.35 for 117 kWh, please pay by ")
    assert own["content"].endswith(link)


def fields_of(post: Json) -> dict[str, str]:
    (embed,) = post["embeds"]
    return {field["name"]: field["value"] for field in embed["fields"]}


def whatsapp_got_the_approved_template(servers: Servers, answer: Json) -> None:
    (sent,) = servers.providers.whatsapp.accepted()
    assert sent.path.endswith(f"/{PHONE_ID}/messages")
    assert sent.json["to"] == PHONE
    template = sent.json["template"]
    assert template["name"] == "electricity_bill_issued"
    texts = [parameter["text"] for parameter in template["components"][0]["parameters"]]
    assert (texts[0], texts[2]) == ("INV-000001", "₹540.35")
    assert texts[4] == answer["bill"]["payment_url"]


def the_mail_has_the_text_and_the_bill(servers: Servers, answer: Json) -> None:
    (mail,) = servers.mail.mails
    assert mail["To"] == EMAIL
    assert body_of(mail).startswith(f"Namaste {NAME}! ₹540.35 for 117 kWh")
    (pdf,) = mail.iter_attachments()
    assert pdf.get_filename() == f"{answer['bill']['number']}.pdf"
    assert pdf.get_content().startswith(b"%PDF")
    assert servers.twilio.seen == []


def ai_was_asked_three_times_and_told_nothing_personal(llmock: LLMock, answer: Json) -> None:
    asked = llmock.requests
    assert [(r.method, r.path, r.status) for r in asked] == [
        ("POST", "/v1/chat/completions", 200)
    ] * 3
    data = [json.loads(request.body["messages"][1]["content"]) for request in asked]
    assert data[0]["reading"]["kwh"] == "1117"
    assert data[1]["consumption_kwh"] == "117"
    assert data[2]["occasion"] == "a bill is ready"
    kept_back = (*PERSONAL, ACCOUNT, SERIAL, ENGINEER, UTILITY, "INV-", answer["bill"]["id"])
    has_none_of((*kept_back, answer["reading"]["id"]), [request.body for request in asked])


def has_none_of(words: tuple[str, ...], sent: Any) -> None:
    text = json.dumps(sent, ensure_ascii=False)
    assert [word for word in words if word in text] == []
