"""The Stripe of the tests, with what autopay needs: saved cards, charges without the customer.

A card behaves as the test says: it pays, is declined with a code, wants a confirmation, or is a
bank debit that takes its time. Requests are those that Stripe's own description of its API has.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from tests.integration.at_stripe.stripe_server import Stripe
from tests.integration.providers.published import stripe_error
from tests.integration.providers.stand_in import Reply, Seen, must, reply

Json = dict[str, Any]
OK = "ok"
PROCESSING = "processing"
AUTHENTICATION = "authentication_required"


@dataclass
class AutopayStripe(Stripe):
    """An account with saved cards. `cards` says how each behaves when it is charged next."""

    cards: dict[str, str] = field(default_factory=dict)
    methods: dict[str, Json] = field(default_factory=dict)
    setups: dict[str, Json] = field(default_factory=dict)
    # So many answers to charges are lost on their way, though Stripe has charged.
    lose_answers: int = 0
    asked: list[Json] = field(default_factory=list)
    # Customers of Stripe's that somebody deleted there.
    gone: set[str] = field(default_factory=set)

    def save_card(
        self, session_id: str, *, card: str = OK, last4: str = "4242", expires: str = "2040-12"
    ) -> str:
        """A customer fills a page for saving in; the id of what was saved."""
        session = self.sessions[session_id]
        assert session["mode"] == "setup"
        assert session["status"] == "open"
        year, _, month = expires.partition("-")
        method = self._new("pm", "payment_method", type="card", customer=session["customer"])
        method["card"] = {"brand": "visa", "last4": last4}
        method["card"] |= {"exp_month": int(month), "exp_year": int(year)}
        self.methods[method["id"]], self.cards[method["id"]] = method, card
        setup = self._new("seti", "setup_intent", status="succeeded", payment_method=method["id"])
        self.setups[setup["id"]] = setup
        session |= {"status": "complete", "setup_intent": setup["id"]}
        self.happened("checkout.session.completed", session)
        return str(method["id"])

    def pay_session(self, session_id: str) -> None:
        """A customer pays on a page that was opened for a bill."""
        session = self.sessions[session_id]
        assert session["mode"] == "payment"
        assert session["status"] == "open"
        price = "line_items[0][price_data]"
        amount, currency = (
            session["form"][f"{price}[unit_amount]"],
            session["form"][f"{price}[currency]"],
        )
        intent = self.charge(int(amount), currency, session["metadata"])
        session |= {"status": "complete", "payment_status": "paid", "payment_link": None}
        session |= {"payment_intent": intent["id"], "amount_total": int(amount)}
        session["currency"] = currency
        self.happened("checkout.session.completed", session)

    def bank_ends(self, intent_id: str, *, code: str = "") -> None:
        """The bank has debited an account, or refused to with a code."""
        self._end(self.intents[intent_id], code or OK)

    def confirm_at_bank(self, intent_id: str) -> None:
        """The customer confirms a payment at their bank."""
        assert self.intents[intent_id]["status"] == "requires_action"
        self._end(self.intents[intent_id], OK)

    @property
    def charged(self) -> list[Json]:
        """The payments that succeeded."""
        return [i for i in self.intents.values() if i["status"] == "succeeded"]

    def charged_of(self, customer: str) -> int:
        """What a customer of Stripe's was charged in all, in its units."""
        return sum(i["amount"] for i in self.charged if i.get("customer") == customer)

    # -- what it is asked ------------------------------------------------------------------------

    def _once(self, seen: Seen) -> Reply:
        if seen.path == "/v1/refunds":
            return super()._once(seen)
        must(seen.headers["content-type"] == "application/x-www-form-urlencoded", "a form only")
        key = seen.headers.get("idempotency-key", "")
        must(0 < len(key) <= 255, "an idempotency key of at most 255 characters")
        if key in self._by_key:
            path, body, answer = self._by_key[key]
            if (path, body) != (seen.path, seen.body):
                return stripe_error(400, "Keys can only be used with the same parameters.")
            return answer
        form = dict(parse_qsl(seen.body.decode(), strict_parsing=bool(seen.body)))
        answer = self._made(seen.path, form)
        self._by_key[key] = (seen.path, seen.body, answer)
        if seen.path == "/v1/payment_intents" and self.lose_answers:
            self.lose_answers -= 1
            return Reply(200, b"", hang_up=True)
        return answer

    def _made(self, path: str, form: dict[str, str]) -> Reply:
        if path == "/v1/customers":
            return reply(200, self._new("cus", "customer"))
        if path == "/v1/checkout/sessions":
            return self._session(form)
        if found := re.fullmatch(r"/v1/checkout/sessions/(\w+)/expire", path):
            return self._expire(self.sessions[found[1]])
        if path == "/v1/payment_intents":
            return self._charge(form)
        if found := re.fullmatch(r"/v1/payment_intents/(\w+)/(confirm|cancel)", path):
            return self._change(self.intents[found[1]], found[2], form)
        return self._detach(path)

    def _detach(self, path: str) -> Reply:
        found = re.fullmatch(r"/v1/payment_methods/(\w+)/detach", path)
        must(found, f"no endpoint {path}")
        assert found
        method = self.methods[found[1]]
        if method["customer"] is None:
            return stripe_error(400, "The payment method is not attached to a customer.")
        method["customer"] = None
        return reply(200, method)

    def _expire(self, session: Json) -> Reply:
        if session["status"] != "open":
            return stripe_error(400, "Only Checkout Sessions that are open can be expired.")
        session["status"] = "expired"
        self.happened("checkout.session.expired", session)
        return reply(200, session)

    def _session(self, form: dict[str, str]) -> Reply:
        if form.get("customer") in self.gone:
            return stripe_error(400, "No such customer.", code="resource_missing")
        session = self._new("cs", "checkout.session", metadata=dict(_metadata(form)))
        session |= {"mode": form["mode"], "status": "open", "setup_intent": None}
        session |= {"customer": form.get("customer"), "success_url": form["success_url"]}
        session |= {"cancel_url": form["cancel_url"], "payment_intent": None, "form": form}
        session |= {"payment_status": "no_payment_required", "currency": form.get("currency")}
        session["url"] = f"https://checkout.stripe.com/c/pay/{session['id']}"
        self.sessions[session["id"]] = session
        return reply(200, session)

    def _charge(self, form: dict[str, str]) -> Reply:
        must(form["off_session"] == "true" and form["confirm"] == "true", "without the customer")
        method = self.methods.get(form["payment_method"])
        if method is None or method["customer"] != form["customer"]:
            return stripe_error(400, "No such payment method.", code="resource_missing")
        intent = self._new("pi", "payment_intent", metadata=dict(_metadata(form)))
        intent |= {"amount": int(form["amount"]), "currency": form["currency"]}
        intent |= {"customer": form["customer"], "payment_method": method["id"]}
        intent |= {"amount_received": 0, "latest_charge": None, "last_payment_error": None}
        self.intents[intent["id"]] = intent
        self.asked.append(intent)
        return self._end(intent, self.cards[method["id"]])

    def _end(self, intent: Json, card: str) -> Reply:
        if card == PROCESSING:
            intent["status"] = "processing"
            self.happened("payment_intent.processing", intent)
        elif card == OK:
            charge = self._new("ch", "charge", payment_intent=intent["id"], status="succeeded")
            charge |= {"amount": intent["amount"], "amount_refunded": 0, "refunded": False}
            charge["currency"] = intent["currency"]
            self.charges[charge["id"]] = charge
            intent |= {"status": "succeeded", "amount_received": intent["amount"]}
            intent["latest_charge"] = charge["id"]
            self.happened("payment_intent.succeeded", intent)
        else:
            code = card if card == AUTHENTICATION else "card_declined"
            error = {"type": "card_error", "code": code, "message": "Your card was declined."}
            error |= {} if card == AUTHENTICATION else {"decline_code": card}
            intent |= {"status": "requires_payment_method", "last_payment_error": error}
            self.happened("payment_intent.payment_failed", intent)
            return reply(402, {"error": {**error, "payment_intent": intent}})
        return reply(200, intent)

    def _change(self, intent: Json, what: str, form: dict[str, str]) -> Reply:
        if what == "cancel":
            if intent["status"] not in {"requires_payment_method", "requires_action"}:
                code = "payment_intent_unexpected_state"
                return stripe_error(400, "It cannot be canceled.", code=code)
            intent["status"] = "canceled"
            self.happened("payment_intent.canceled", intent)
            return reply(200, intent)
        must(form["return_url"].startswith("https://"), "where the customer comes back to")
        url = f"https://hooks.stripe.com/3d/{intent['id']}"
        intent |= {"status": "requires_action", "last_payment_error": None}
        intent["next_action"] = {"type": "redirect_to_url", "redirect_to_url": {"url": url}}
        return reply(200, intent)

    def _get(self, path: str, query: dict[str, str], seen: Seen) -> Reply:
        if found := re.fullmatch(r"/v1/checkout/sessions/(\w+)", path):
            session = dict(self.sessions[found[1]])
            if session["setup_intent"]:
                setup = dict(self.setups[session["setup_intent"]])
                setup["payment_method"] = self.methods[setup["payment_method"]]
                session["setup_intent"] = setup
            return reply(200, session)
        if path == "/v1/payment_intents" and "customer" in query:
            rows = [i for i in self.intents.values() if i.get("customer") == query["customer"]]
            return self._list(rows, query)
        return super()._get(path, query, seen)

    def _expanded(self, intent: Json) -> Json:
        charge = intent["latest_charge"]
        return intent | {"latest_charge": self.charges[charge] if charge else None}


def _metadata(form: dict[str, str]) -> Iterator[tuple[str, str]]:
    return ((n[9:-1], v) for n, v in form.items() if n.startswith("metadata["))
