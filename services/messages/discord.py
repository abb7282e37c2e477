"""Posts to Discord webhooks: the whole bill to a customer's own, the least to the shared one."""

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import SecretStr

from services.integrations.http import (
    TIMEOUT_SECONDS,
    Answer,
    OutcomeUnknown,
    RequestRejected,
    ServiceUnavailable,
    get_json,
    post_json,
)
from services.languages.language import ENGLISH_LANGUAGE, Language
from services.languages.sentence import sentence
from services.messages.account_texts.charges import (
    CHARGES_DUE,
    CHARGES_OVERDUE,
    CHARGES_SINCE,
    subject_of,
)
from services.messages.facts import NO_FACTS, Correction, Received
from services.messages.wording import HEADLINES
from services.quantities.counting import count
from services.records.bills import Bill
from services.records.outbox import OutboxKind

DISCORD_HOSTS: Final = frozenset(
    ("discord.com", "discordapp.com", "ptb.discord.com", "canary.discord.com")
)
# What Discord's documentation allows in one message.
CONTENT_LIMIT: Final = 2000
TITLE_LIMIT: Final = 256
FIELD_NAME_LIMIT: Final = 256
FIELD_VALUE_LIMIT: Final = 1024
FIELDS_LIMIT: Final = 25

# A pause that is worth waiting for at once; a longer one is left to the background.
PATIENCE_SECONDS: Final = 2.0
_UNTOLD_PAUSE_SECONDS: Final = 5.0
_PATH: Final = re.compile(r"/api/(v[0-9]+/)?webhooks/(?P<id>[0-9]+)/[A-Za-z0-9_-]+/?")
_MARKDOWN: Final = re.compile(r"([\\*_~`|>\[\]()#<:@-])")
_COLORS: Final[dict[OutboxKind, int]] = {
    "bill_issued": 0x2E7D32,
    "payment_reminder": 0xF9A825,
    "overdue_notice": 0xC62828,
    "disconnection_notice": 0xC62828,
    "payment_received": 0x2E7D32,
    "bill_corrected": 0x1565C0,
    "autopay_notice": 0x1565C0,
    "autopay_failed": 0xF9A825,
    "autopay_expiring": 0xF9A825,
    "autopay_ended": 0x1565C0,
    "charges_overdue": 0xF9A825,
}


class NotADiscordWebhook(ValueError):
    """The address is not that of a Discord webhook."""


def check_webhook(address: str) -> str:
    """The address of a customer's webhook, if it is one of Discord's; raises NotADiscordWebhook.

    Only Discord's own: an address that anybody may enter must not make us call other servers.
    """
    parts = urlsplit(address.strip())
    if (
        parts.scheme != "https"
        or parts.netloc not in DISCORD_HOSTS
        or not _PATH.fullmatch(parts.path)
    ):
        raise NotADiscordWebhook(
            "is not the address of a Discord webhook, such as https://discord.com/api/webhooks/…"
        )
    return address.strip()


def masked(address: SecretStr) -> str:
    """Enough of a webhook to recognise it, nothing to use it: the end of its (public) id."""
    found = _PATH.fullmatch(urlsplit(address.get_secret_value()).path)
    return f"webhook …{found['id'][-4:]}" if found else "webhook"


def cut(text: str, limit: int) -> str:
    """`text` within `limit` UTF-16 units, the strictest way of counting, with … where it ends."""
    if _length(text) <= limit:
        return text
    while _length(text) > limit - 1:
        text = text[: len(text) - max(1, (_length(text) - limit + 1) // 2)]
    return f"{text.rstrip()}…"


def escaped(text: str) -> str:
    """`text` so that Discord shows it letter by letter."""
    return _MARKDOWN.sub(r"\\\1", text)


def whole_bill(
    *,
    bill: Bill,
    kind: OutboxKind,
    text: str,
    facts: Mapping[str, str] = NO_FACTS,
    page: str | None = None,
    language: Language = ENGLISH_LANGUAGE,
) -> dict[str, Any]:
    """A message for the customer's own webhook: the text, and the bill's figures with the link.

    `page` is the link to the customer's own page.
    """
    _ = language.gettext
    left = language.money(bill.money(max(bill.balance_minor, 0)))
    thanks = kind == "payment_received"
    fields = [(_("Left to pay") if thanks else _("To pay"), left)]
    if thanks:
        fields.insert(0, (_("Paid"), language.money(Received.of(facts).amount)))
    elif kind == "bill_corrected":
        fields.append((_("Difference"), language.say(Correction.of(facts).in_words)))
    start, end = language.day(bill.period_start), language.day(bill.period_end)
    fields.append((_("Period"), f"{start} – {end}"))
    if bill.due_date and not (thanks and bill.balance_minor <= 0):
        fields.append((_("Due"), language.day(bill.due_date)))
    if bill.payment_url and bill.balance_minor > 0:
        fields.append((_("Pay online"), bill.payment_url))
    if page:
        fields.append((_("Your page"), page))
    if kind == CHARGES_OVERDUE:
        # Of the bill that the message hangs on nothing is to pay.
        about = ((_("To pay"), CHARGES_DUE), (_("Due"), CHARGES_SINCE))
        fields = [(name, facts.get(fact, "")) for name, fact in about]
        fields += [(_("Your page"), page)] if page else []
    title = f"{_(HEADLINES[kind])} {subject_of(bill, kind)}"
    return _message(content=text, title=title, fields=fields, color=_COLORS[kind])


def shared_note(
    *, bill: Bill, kind: OutboxKind, facts: Mapping[str, str] = NO_FACTS
) -> dict[str, Any]:
    """A message for the channel that many read: account number and amount, no name, no link."""
    paid = ("Paid", Received.of(facts).amount) if kind == "payment_received" else None
    name, amount = paid or ("Amount", bill.money(bill.balance_minor))
    owed = facts.get(CHARGES_DUE, "") if kind == CHARGES_OVERDUE else amount.display()
    fields = [("Account", escaped(bill.account_no)), (name, owed)]
    return _message(content="", title=HEADLINES[kind], fields=fields, color=_COLORS[kind])


def plain_note(*, title: str, text: str) -> dict[str, Any]:
    """A message of the system itself for the channel that many read."""
    return _message(content=escaped(text), title=title, fields=[], color=_COLORS["overdue_notice"])


def as_text(message: Mapping[str, Any]) -> str:
    """What people read in a message, for the log."""
    embed = message["embeds"][0]
    lines = [f"{f['name']}: {f['value']}" for f in embed["fields"]]
    return "\n".join(filter(None, [message.get("content"), embed["title"], *lines]))


@dataclass
class Discord:
    """Posts to webhooks; its method may be called by many threads.

    Keeps to a pause that Discord asked for (429), by webhook. `pause` waits some seconds.
    """

    timeout_seconds: float = TIMEOUT_SECONDS
    pause: Callable[[float], object] = time.sleep
    # What its posts are called in figures and alerts.
    counted_as: str = "Discord"
    _not_before: dict[str, float] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def post(self, address: SecretStr, message: Mapping[str, Any]) -> str:
        """Post a message once and answer its id.

        Raises ServiceUnavailable (429, 5xx, not reached), RequestRejected, and OutcomeUnknown when
        nobody knows whether it was posted: webhooks have no idempotency key.
        """
        self._keep_to_pause(address)
        answer = self._post_once(address, message)
        if answer.status == 429:
            seconds = _asked_pause(answer)
            if seconds > PATIENCE_SECONDS:
                self._note_pause(address, seconds)
                raise ServiceUnavailable(
                    f"Discord asks to wait {count(round(seconds), 'second')}.",
                    retry_after_seconds=seconds,
                )
            self.pause(seconds)
            answer = self._post_once(address, message)
        return _message_id(answer)

    def check(self, address: SecretStr) -> str:
        """Ask whether the webhook exists, posting nothing; a sentence.

        Raises ServiceUnavailable, RequestRejected.
        """
        url = urlsplit(address.get_secret_value())._replace(query="", fragment="").geturl()
        answer = get_json(url, service="Discord", timeout_seconds=self.timeout_seconds)
        try:
            _message_id(answer, wanted="the webhook")
        except OutcomeUnknown as error:
            raise RequestRejected(str(error)) from None
        return sentence("It answers and knows our webhook.")

    def _post_once(self, address: SecretStr, message: Mapping[str, Any]) -> Answer:
        parts = urlsplit(address.get_secret_value())
        # Without it Discord answers before it has kept the message.
        query = urlencode([*parse_qsl(parts.query), ("wait", "true")])
        return post_json(
            parts._replace(query=query, fragment="").geturl(),
            body=message,
            service="Discord",
            timeout_seconds=self.timeout_seconds,
            counted_as=self.counted_as,
        )

    def _keep_to_pause(self, address: SecretStr) -> None:
        with self._lock:
            left = self._not_before.get(address.get_secret_value(), 0) - time.monotonic()
        if left > 0:
            raise ServiceUnavailable(
                f"Discord asks to wait {count(round(left), 'second')}.", retry_after_seconds=left
            )

    def _note_pause(self, address: SecretStr, seconds: float) -> None:
        now = time.monotonic()
        with self._lock:
            self._not_before = {a: t for a, t in self._not_before.items() if t > now}
            self._not_before[address.get_secret_value()] = now + seconds


def _message(
    *, content: str, title: str, fields: list[tuple[str, str]], color: int
) -> dict[str, Any]:
    message: dict[str, Any] = {
        "embeds": [
            {
                "title": cut(title, TITLE_LIMIT),
                "color": color,
                "fields": [
                    {
                        "name": cut(name, FIELD_NAME_LIMIT),
                        "value": cut(value, FIELD_VALUE_LIMIT),
                        "inline": True,
                    }
                    for name, value in fields[:FIELDS_LIMIT]
                ],
            }
        ],
        # Nothing in a name or an AI's text may call people: no @everyone, no roles, no users.
        "allowed_mentions": {"parse": []},
    }
    return message | ({"content": cut(content, CONTENT_LIMIT)} if content else {})


def _length(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _asked_pause(answer: Answer) -> float:
    """Seconds, from the body or else the header; a moment when neither says."""
    for stated in (answer.field("retry_after"), answer.headers.get("Retry-After")):
        try:
            seconds = float(str(stated))
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    return _UNTOLD_PAUSE_SECONDS


def _message_id(answer: Answer, *, wanted: str = "the message") -> str:
    status = answer.status
    if 200 <= status < 300:
        found = answer.field("id")
        if isinstance(found, str) and found:
            return found
        raise OutcomeUnknown(f"Discord answered {status}, but not with {wanted}.")
    if status == 429 or status >= 500:
        raise ServiceUnavailable(f"Discord answered {status}.")
    if status in {401, 403, 404}:
        raise RequestRejected(f"Discord does not know this webhook ({status}): enter it again.")
    said = answer.field("message")
    raise RequestRejected(
        f"Discord refused the message ({status})"
        + (f": {said[:200]}" if isinstance(said, str) else ".")
    )
