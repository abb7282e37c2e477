"""Discord, WhatsApp, Twilio and Stripe on loopback, each as strict as its published API."""

import base64
import json
import re
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default
from typing import Any
from urllib.parse import parse_qsl, urlencode

import requests

from services.messages.whatsapp import TEMPLATES
from tests.integration.providers.stand_in import Reply, Seen, StandIn, must, reply

TOKEN = "a-webhook-token_0123456789"
SHARED_PATH = f"/api/webhooks/111122223333444455/{TOKEN}"
OWN_PATH = f"/api/webhooks/999988887777666655/{TOKEN}"
WHATSAPP_TOKEN = "EAAtoken"
PHONE_ID = "106540352242922"
MEDIA_ID = "1166846181421424"
STRIPE_KEY = "sk_test_stand_in"
TWILIO_ACCOUNT = f"AC{'0' * 31}1"
TWILIO_TOKEN = "twilio-token"
TWILIO_NUMBER = "+14155550100"
# https://discord.com/developers/docs/resources/webhook#execute-webhook
DISCORD_FIELDS = {"content", "username", "avatar_url", "tts", "embeds", "allowed_mentions"}


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def discord() -> StandIn:
    """Two webhooks, the shared one and a customer's."""

    def behave(seen: Seen) -> Reply:
        if seen.path not in {SHARED_PATH, OWN_PATH}:
            return reply(404, {"message": "Unknown Webhook", "code": 10015})
        if seen.method == "GET":
            return reply(200, {"id": seen.path.split("/")[3], "type": 1, "name": "bills"})
        must(seen.query.get("wait") == ["true"], "without wait=true no id comes back")
        must(seen.headers["content-type"] == "application/json", "the body must be JSON")
        _check_post(seen.json)
        return reply(200, seen.json | {"id": f"12{len(seen.body)}", "type": 0})

    return StandIn(
        behave, lambda why: reply(400, {"message": "Invalid Form Body", "code": 50035, "why": why})
    )


def _check_post(body: dict[str, Any]) -> None:
    must(set(body) <= DISCORD_FIELDS, f"unknown fields in {sorted(body)}")
    must(body.get("content") or body.get("embeds"), "neither content nor embeds")
    must(_units(body.get("content", "")) <= 2000, "content beyond 2,000")
    must(body["allowed_mentions"] == {"parse": []}, "mentions are not disabled")
    must(len(body["embeds"]) <= 10, "more than 10 embeds")
    for embed in body["embeds"]:
        must(_units(embed["title"]) <= 256, "title beyond 256")
        must(len(embed["fields"]) <= 25, "more than 25 fields")
        texts = [embed["title"]]
        for one in embed["fields"]:
            must(set(one) == {"name", "value", "inline"}, "a field of another form")
            must(0 < _units(one["name"]) <= 256, "name of a field")
            must(0 < _units(one["value"]) <= 1024, "value of a field")
            texts += [one["name"], one["value"]]
        must(sum(map(_units, texts)) <= 6000, "embed beyond 6,000")


def whatsapp_error(status: int, code: int, message: str = "(#) an error") -> Reply:
    """An error in the form that WhatsApp gives it."""
    error = {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "A1"}
    return reply(status, {"error": error})


CODE_TEMPLATE = "code_for_your_page"


def whatsapp() -> StandIn:
    """The Cloud API for one business number, its templates approved in English."""

    def behave(seen: Seen) -> Reply:
        if seen.headers.get("authorization") != f"Bearer {WHATSAPP_TOKEN}":
            return whatsapp_error(401, 190)
        if seen.method == "GET":
            must(re.fullmatch(rf"/v\d+\.\d/{PHONE_ID}", seen.path), "no such object")
            return reply(200, {"id": PHONE_ID})
        if re.fullmatch(rf"/v\d+\.\d/{PHONE_ID}/media", seen.path):
            _check_upload(seen)
            return reply(200, {"id": MEDIA_ID})
        must(re.fullmatch(rf"/v\d+\.\d/{PHONE_ID}/messages", seen.path), "no such endpoint")
        must(seen.headers["content-type"] == "application/json", "the body must be JSON")
        number = _check_template_message(seen.json)
        contact = {"input": number, "wa_id": number.lstrip("+")}
        message = {"id": f"wamid.{len(seen.body)}", "message_status": "accepted"}
        return reply(
            200, {"messaging_product": "whatsapp", "contacts": [contact], "messages": [message]}
        )

    return StandIn(behave, lambda why: whatsapp_error(400, 100, why))


def _check_upload(seen: Seen) -> None:
    """https://developers.facebook.com/docs/whatsapp/cloud-api/reference/media#upload-media."""
    must(seen.headers["content-type"].startswith("multipart/form-data; boundary="), "multipart")
    head = f"Content-Type: {seen.headers['content-type']}\r\n\r\n".encode()
    parts = message_from_bytes(head + seen.body, policy=default).iter_parts()
    found = {part.get_param("name", header="content-disposition"): part for part in parts}
    must(set(found) == {"messaging_product", "type", "file"}, f"fields {sorted(map(str, found))}")
    must(found["messaging_product"].get_content().strip() == "whatsapp", "messaging_product")
    must(found["type"].get_content().strip() == "application/pdf", "type")
    must(found["file"].get_content_type() == "application/pdf", "the file's type")
    must(found["file"].get_content().startswith(b"%PDF"), "no PDF")


def _check_code(template: dict[str, Any]) -> None:
    """https://developers.facebook.com/docs/whatsapp/business-management-api/authentication-templates."""
    body, button = template["components"]
    must(body["type"] == "body" and len(body["parameters"]) == 1, "the body has the code")
    must((button["type"], button["sub_type"], button["index"]) == ("button", "url", "0"), "button")
    must(button["parameters"] == body["parameters"], "the button copies the code")
    code = body["parameters"][0]
    must(code["type"] == "text" and 0 < len(code["text"]) <= 15, "132018: the code is too long")


def _check_template_message(body: dict[str, Any]) -> str:
    must(
        set(body)
        == {"messaging_product", "recipient_type", "to", "type", "template"}
        | {"biz_opaque_callback_data"},
        f"fields {sorted(body)}",
    )
    must(body["messaging_product"] == "whatsapp", "messaging_product")
    must(body["recipient_type"] == "individual", "recipient_type")
    must(body["type"] == "template", "beyond 24 hours only templates may be sent")
    must(re.fullmatch(r"\+[1-9]\d{6,14}", body["to"]), "to is not E.164")
    must(len(body["biz_opaque_callback_data"]) <= 512, "callback data beyond 512")
    template = body["template"]
    approved = {t.name: t.body for t in TEMPLATES.values()}
    if template["name"] == CODE_TEMPLATE:
        _check_code(template)
        return str(body["to"])
    with_pdf = template["name"].endswith("_pdf")
    plain = template["name"].removesuffix("_pdf")
    must(plain in approved, "132001: no such template")
    must(template["language"] == {"code": "en"}, "132001: not approved in this language")
    *headers, component = template["components"]
    name = next((h["parameters"][0]["document"]["filename"] for h in headers), "")
    must(not with_pdf or re.fullmatch(r"(INV|CN)-\d{6}\.pdf", name), "the name of the document")
    shown = {"id": MEDIA_ID, "filename": name}
    document = {"type": "header", "parameters": [{"type": "document", "document": shown}]}
    must(headers == ([document] if with_pdf else []), "132012: the header")
    must(component["type"] == "body", "component")
    wanted = len(set(re.findall(r"\{\{\d\}\}", approved[plain])))
    must(len(component["parameters"]) == wanted, "132000: number of parameters")
    for parameter in component["parameters"]:
        must(set(parameter) == {"type", "text"} and parameter["type"] == "text", "parameter")
        must(parameter["text"].strip(), "an empty parameter")
        must(not re.search(r"[\n\t]| {5,}", parameter["text"]), "132018: line breaks or tabs")
    return str(body["to"])


def twilio_error(status: int, code: int) -> Reply:
    """In the form of https://www.twilio.com/docs/usage/twilios-response#response-formats-exceptions."""
    return reply(status, {"code": code, "message": "The number +91 … is …", "status": status})


def twilio() -> StandIn:
    """https://www.twilio.com/docs/messaging/api/message-resource#create-a-message."""
    login = base64.b64encode(f"{TWILIO_ACCOUNT}:{TWILIO_TOKEN}".encode()).decode()

    def behave(seen: Seen) -> Reply:
        if seen.headers.get("authorization") != f"Basic {login}":
            return twilio_error(401, 20003)
        if seen.method == "GET":
            must(seen.path == f"/2010-04-01/Accounts/{TWILIO_ACCOUNT}.json", "no such resource")
            return reply(200, {"sid": TWILIO_ACCOUNT, "status": "active"})
        must(
            seen.path == f"/2010-04-01/Accounts/{TWILIO_ACCOUNT}/Messages.json", "no such resource"
        )
        must(
            seen.headers["content-type"] == "application/x-www-form-urlencoded",
            "parameters are those of a form",
        )
        form = dict(parse_qsl(seen.body.decode(), strict_parsing=True))
        must(set(form) - {"StatusCallback"} == {"To", "From", "Body"}, f"parameters {sorted(form)}")
        # Twilio takes no address that it cannot reach: 21609.
        must(form.get("StatusCallback", "https://").startswith("https://"), "21609")
        must(re.fullmatch(r"\+[1-9]\d{6,14}", form["To"]), "21211")
        must(0 < len(form["Body"]) <= 1600, "21617")
        return reply(201, {"sid": f"SM{'0' * 32}", "status": "queued", "error_code": None})

    return StandIn(behave, lambda why: twilio_error(400, 21211 if why == "21211" else 20001))


@dataclass
class Links:
    """Payment links as Stripe keeps them, with its memory of idempotency keys."""

    mock_url: str | None = None
    by_id: dict[str, dict[str, Any]] = field(default_factory=dict)
    by_key: dict[str, tuple[bytes, str]] = field(default_factory=dict)

    @property
    def active(self) -> list[dict[str, Any]]:
        """The links that can be paid."""
        return [link for link in self.by_id.values() if link["active"]]

    def behave(self, seen: Seen) -> Reply:
        """Answer a request for /v1/payment_links, once stripe-mock takes it."""
        if seen.headers.get("authorization") != f"Bearer {STRIPE_KEY}":
            error = {"type": "invalid_request_error", "message": "Invalid API Key: sk_t***in"}
            return reply(401, {"error": error})
        must(re.fullmatch(r"/v1/payment_links(/\w+)?", seen.path), f"no endpoint {seen.path}")
        self.ask_stripe_mock(seen)
        if seen.method == "GET":
            return reply(200, {"object": "list", "data": [], "has_more": False})
        must(
            seen.headers["content-type"] == "application/x-www-form-urlencoded", "form-encoded only"
        )
        form = dict(parse_qsl(seen.body.decode(), strict_parsing=True))
        if seen.path == "/v1/payment_links":
            return self._create(seen, form)
        return self._update(seen.path.rpartition("/")[2], form)

    def ask_stripe_mock(self, seen: Seen) -> None:
        """Refuse what Stripe's own description of its API does not have."""
        if self.mock_url is None:
            return
        headers = {
            n: seen.headers[n] for n in ("content-type", "stripe-version") if n in seen.headers
        }
        answer = requests.request(
            seen.method,
            f"{self.mock_url}{seen.path}?{urlencode(seen.query, doseq=True)}",
            data=seen.body,
            headers={**headers, "Authorization": "Bearer sk_test_123"},
            timeout=10,
        )
        must(answer.status_code == 200, answer.text)

    def _create(self, seen: Seen, form: dict[str, str]) -> Reply:
        key = seen.headers.get("idempotency-key", "")
        must(0 < len(key) <= 255, "an idempotency key of at most 255 characters")
        before = self.by_key.get(key)
        if before:
            if before[0] != seen.body:
                error = {"type": "idempotency_error", "message": "Keys can only be used once."}
                return reply(400, {"error": error})
            return reply(200, self.by_id[before[1]])
        must(form["line_items[0][quantity]"] == "1", "one of it")
        must(form["restrictions[completed_sessions][limit]"] == "1", "used up by one payment")
        link_id = f"plink_{len(self.by_id) + 1}"
        link = {
            "id": link_id,
            "object": "payment_link",
            "url": f"https://buy.stripe.com/test_{len(self.by_id) + 1}",
            "active": True,
            "form": form,
        }
        self.by_id[link_id] = link
        self.by_key[key] = (seen.body, link_id)
        return reply(200, link)

    def _update(self, link_id: str, form: dict[str, str]) -> Reply:
        if link_id not in self.by_id:
            error = {"type": "invalid_request_error", "code": "resource_missing"}
            return reply(404, {"error": error | {"message": f"No such payment link: {link_id}"}})
        must(form.get("active", "").lower() == "false" and len(form) == 1, f"{form}")
        self.by_id[link_id]["active"] = False
        return reply(200, self.by_id[link_id])


def stripe(links: Links) -> StandIn:
    """Stripe, for payment links."""
    return StandIn(
        links.behave,
        lambda why: reply(400, {"error": {"type": "invalid_request_error", "message": why}}),
    )


def stripe_error(status: int, message: str, **more: str) -> Reply:
    """An error in the form that Stripe gives it."""
    body = {"error": {"type": "invalid_request_error", "message": message, **more}}
    return Reply(status, json.dumps(body).encode())
