"""A Stripe on loopback that keeps what happens to it: links, payments, refunds, signed events.

Strict where Stripe is: keys, form bodies, idempotency, no refund beyond its payment. Payment links
are as in tests/integration/providers/published.py.
"""

import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import parse_qsl

from tests.integration.providers.published import STRIPE_KEY, Links, stripe_error
from tests.integration.providers.stand_in import Reply, Seen, StandIn, must, reply

Json = dict[str, Any]
Deliver = Callable[[bytes, str], int]

SECRET = "whsec_of_the_tests"
EVENTS_KEPT_SECONDS = 30 * 86_400


@dataclass
class Stripe:
    """What the account has. `clock` is Unix time; events wait in `outgoing` until delivered."""

    links: Links
    clock: Callable[[], float] = time.time
    sessions: dict[str, Json] = field(default_factory=dict)
    intents: dict[str, Json] = field(default_factory=dict)
    charges: dict[str, Json] = field(default_factory=dict)
    refunds: dict[str, Json] = field(default_factory=dict)
    events: list[Json] = field(default_factory=list)
    outgoing: list[Json] = field(default_factory=list)
    # What a refund ends as: succeeded, pending or failed.
    refunds_end: str = "succeeded"
    _by_key: dict[str, tuple[str, bytes, Reply]] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: count(1))

    def server(self) -> StandIn:
        """It, listening once it is started."""
        return StandIn(self.behave, lambda why: stripe_error(400, why))

    # -- what happens there ----------------------------------------------------------------------

    def pay(self, url: str, *, amount: int | None = None) -> Json:
        """A customer pays by a link, which is then used up; the payment intent."""
        (link,) = [one for one in self.links.by_id.values() if one["url"] == url]
        assert link["active"], "nobody can pay by a link that is closed"
        form = link["form"]
        price = "line_items[0][price_data]"
        paid = amount or int(form[f"{price}[unit_amount]"])
        metadata = {n[9:-1]: v for n, v in form.items() if n.startswith("metadata[")}
        intent = self.charge(paid, form[f"{price}[currency]"], metadata)
        session = self._new("cs", "checkout.session", metadata=metadata)
        session |= {"mode": "payment", "status": "complete", "payment_status": "paid"}
        session |= {"payment_link": link["id"], "payment_intent": intent["id"]}
        session |= {"amount_total": paid, "currency": intent["currency"]}
        self.sessions[session["id"]] = session
        link["active"] = False
        self.happened("checkout.session.completed", session)
        return intent

    def charge(self, amount: int, currency: str, metadata: Mapping[str, str]) -> Json:
        """A payment succeeds, by whatever way; the payment intent."""
        intent = self._new("pi", "payment_intent", metadata=dict(metadata))
        charge = self._new("ch", "charge", payment_intent=intent["id"])
        charge |= {"amount": amount, "amount_refunded": 0, "currency": currency}
        charge |= {"refunded": False, "status": "succeeded", "disputed": False}
        intent |= {"amount": amount, "amount_received": amount, "currency": currency}
        intent |= {"status": "succeeded", "latest_charge": charge["id"]}
        self.intents[intent["id"]], self.charges[charge["id"]] = intent, charge
        return intent

    def refund(self, intent_id: str, amount: int, metadata: Mapping[str, str]) -> Json:
        """A part of a payment is sent back, asked for by us or at Stripe's dashboard."""
        charge = self.charges[self.intents[intent_id]["latest_charge"]]
        refund = self._new("re", "refund", metadata=dict(metadata), payment_intent=intent_id)
        refund |= {"amount": amount, "currency": charge["currency"], "charge": charge["id"]}
        refund["status"] = self.refunds_end
        self.refunds[refund["id"]] = refund
        if self.refunds_end == "failed":
            refund["failure_reason"] = "expired_or_canceled_card"
            self.happened("refund.failed", refund)
            return refund
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        self.happened("charge.refunded", charge)
        return refund

    def happened(self, kind: str, thing: Json) -> Json:
        """An event about a thing as it is now, which waits to be delivered."""
        event = self._new("evt", "event", type=kind, api_version="2026-06-24", pending_webhooks=1)
        event["data"] = {"object": json.loads(json.dumps(thing))}
        self.events.append(event)
        self.outgoing.append(event)
        return event

    def deliver(self, to: Deliver) -> list[int]:
        """Send each waiting event to the webhook, signed; how each was answered."""
        events, self.outgoing = self.outgoing, []
        return [to(*self.signed(event)) for event in events]

    def lose(self) -> None:
        """The waiting events get lost on their way, however often Stripe tries."""
        self.outgoing = []

    def signed(self, event: Json) -> tuple[bytes, str]:
        """An event as it is sent: its body and the header Stripe-Signature."""
        body, at = json.dumps(event).encode(), int(self.clock())
        digest = hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        return body, f"t={at},v1={digest}"

    def forget_keys(self) -> None:
        """A day is over: idempotency keys are of no use any more."""
        self._by_key.clear()

    # -- what it is asked ------------------------------------------------------------------------

    def behave(self, seen: Seen) -> Reply:
        """Answer a request as Stripe would."""
        if seen.path.startswith("/v1/payment_links"):
            return self.links.behave(seen)
        if seen.headers.get("authorization") != f"Bearer {STRIPE_KEY}":
            return stripe_error(401, "Invalid API Key provided: sk_t***in")
        self.links.ask_stripe_mock(seen)
        if seen.method == "POST":
            return self._once(seen)
        return self._get(seen.path, {name: values[-1] for name, values in seen.query.items()}, seen)

    def _once(self, seen: Seen) -> Reply:
        must(seen.path == "/v1/refunds", f"no endpoint {seen.path}")
        must(seen.headers["content-type"] == "application/x-www-form-urlencoded", "a form only")
        key = seen.headers.get("idempotency-key", "")
        must(0 < len(key) <= 255, "an idempotency key of at most 255 characters")
        if key in self._by_key:
            path, body, answer = self._by_key[key]
            if (path, body) != (seen.path, seen.body):
                return stripe_error(400, "Keys can only be used with the same parameters.")
            return answer
        answer = self._create_refund(dict(parse_qsl(seen.body.decode(), strict_parsing=True)))
        self._by_key[key] = (seen.path, seen.body, answer)
        return answer

    def _create_refund(self, form: dict[str, str]) -> Reply:
        intent = self.intents.get(form.get("payment_intent", ""))
        if intent is None:
            return stripe_error(404, "No such payment_intent", code="resource_missing")
        charge = self.charges[intent["latest_charge"]]
        left, amount = charge["amount"] - charge["amount_refunded"], int(form["amount"])
        if left == 0:
            why = f"Charge {charge['id']} has already been refunded."
            return stripe_error(400, why, code="charge_already_refunded")
        if not 0 < amount <= left:
            return stripe_error(400, f"Refund amount ({amount}) is greater than {left}")
        metadata = {n[9:-1]: v for n, v in form.items() if n.startswith("metadata[")}
        return reply(200, self.refund(intent["id"], amount, metadata))

    def _get(self, path: str, query: dict[str, str], seen: Seen) -> Reply:
        if found := re.fullmatch(r"/v1/payment_intents/(\w+)", path):
            intent = self.intents.get(found[1])
            if intent is None:
                return stripe_error(404, "No such payment_intent", code="resource_missing")
            return reply(200, self._expanded(intent))
        if path == "/v1/payment_intents":
            return self._list([self._expanded(i) for i in self.intents.values()], query)
        if path == "/v1/events":
            types = {v for n, vs in seen.query.items() if n.startswith("types") for v in vs}
            kept = self.clock() - EVENTS_KEPT_SECONDS
            rows = [e for e in self.events if e["created"] >= kept]
            return self._list([e for e in rows if not types or e["type"] in types], query)
        of = {"/v1/refunds": self.refunds, "/v1/checkout/sessions": self.sessions}
        must(path in of, f"no endpoint {path}")
        wanted = query["payment_intent"]
        return self._list([o for o in of[path].values() if o["payment_intent"] == wanted], query)

    def _expanded(self, intent: Json) -> Json:
        return intent | {"latest_charge": self.charges[intent["latest_charge"]]}

    def _list(self, rows: list[Json], query: dict[str, str]) -> Reply:
        since, until = query.get("created[gte]", 0), query.get("created[lt]", 2**40)
        limit = int(query.get("limit", 10))
        must(1 <= limit <= 100, "limit")
        rows = [row for row in rows if int(since) <= row["created"] < int(until)]
        rows = sorted(rows, key=lambda row: (row["created"], row["number"]), reverse=True)
        after = query.get("starting_after")
        ids = [row["id"] for row in rows]
        must(after is None or after in ids, f"no such object: {after}")
        start = ids.index(after) + 1 if after else 0
        page = rows[start : start + limit]
        body = {"object": "list", "data": page, "has_more": len(rows) > start + limit, "url": "/v1"}
        return reply(200, body)

    def _new(self, prefix: str, kind: str, **fields: Any) -> Json:
        number = next(self._numbers)
        made: Json = {"id": f"{prefix}_{number}", "object": kind, "number": number}
        return made | {"created": int(self.clock()), "livemode": False} | fields
