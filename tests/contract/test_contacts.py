"""A customer's contact details as the office changes them, on both transports."""

from datetime import time
from typing import Any
from uuid import uuid4

import pytest

from services.accounts.contact import CustomerContacts, InvalidContact
from services.database.errors import IllegalChange, NotFound
from services.identity.auth import NotAllowed
from services.records.messages import ContactDetails
from tests.contract.over import Over
from tests.contract.test_accounts import bill_of
from tests.integration.utility import ADMIN, ENGINEER

WEBHOOK = "https://discord.com/api/webhooks/123456789012345678/" + "a" * 60
BODY: dict[str, Any] = {
    "name": "Meera  Nair",
    "phone": "+91 98470 12345",
    "email": "meera@example.org",
    "address": "12 Canal Road",
    "language": "ml",
    "whatsapp": True,
    "discord_webhook": WEBHOOK,
}


class Desk:
    """The contacts of one customer with a bill, as one administrator changes them."""

    def __init__(self, over: Over) -> None:
        self.over, self.contacts = over, CustomerContacts(over.here)
        self.bill = bill_of(over)
        self.id = self.bill.customer_id

    def details(self) -> ContactDetails:
        return self.contacts.details(customer_id=self.id, principal=ADMIN)

    def change(self, *, seen: ContactDetails | None = None, **body: Any) -> ContactDetails:
        self.contacts.change(
            customer_id=self.id,
            body={**BODY, **body},
            seen=seen or self.details(),
            principal=ADMIN,
            now=self.over.utility.now,
        )
        return self.details()


@pytest.fixture
def desk(over: Over) -> Desk:
    return Desk(over)


def test_all_details_are_changed_and_a_bill_keeps_its_number(desk: Desk) -> None:
    changed = desk.change()
    assert (changed.name, changed.phone) == ("Meera Nair", "+919847012345")
    assert (changed.email, changed.address) == ("meera@example.org", "12 Canal Road")
    assert (changed.language, changed.has_discord) == ("ml", True)
    assert changed.whatsapp_since == desk.over.utility.now
    contact = desk.over.here.customer_contact(desk.id)
    assert contact.discord_webhook_url is not None
    assert contact.discord_webhook_url.get_secret_value() == WEBHOOK
    assert desk.over.here.bill(desk.bill.id).number == desk.bill.number


def test_what_is_left_empty_stays_or_goes_as_the_form_says(desk: Desk) -> None:
    first = desk.change()
    same = desk.change(discord_webhook="")
    assert same == first, "a consent keeps its day and an address that is not shown stays"
    gone = desk.change(discord_webhook="", no_discord=True, whatsapp=False, email="")
    assert (gone.has_discord, gone.whatsapp_since, gone.email) == (False, None, "")


def test_what_a_customer_wants_of_messages_is_kept_and_stands_in_the_timeline(desk: Desk) -> None:
    wants: dict[str, Any] = {"preferred": "email", "quiet_from": "22:00", "quiet_until": "07:30"}
    changed = desk.change(**wants, opted_out=True)
    assert (changed.preferred, changed.opted_out) == ("email", True)
    assert (changed.quiet_from, changed.quiet_until) == (time(22), time(7, 30))
    assert desk.change(**wants, opted_out=True) == changed
    contact = desk.over.here.customer_contact(desk.id)
    assert contact.opted_out_at == desk.over.utility.now
    gone = desk.change(preferred=None, quiet_from=None, quiet_until=None)
    assert (gone.preferred, gone.quiet_from, gone.opted_out) == (None, None, False)
    timeline = desk.over.utility.services.timeline.of(
        subject="customer", subject_id=desk.id, principal=ADMIN
    )
    said = [
        [(d.label, d.before, d.after) for d in one.said.details]
        for one in timeline.entries
        if one.said.what == "How messages are sent changed"
    ]
    assert [row for row in said if ("Quiet from", "", "22:00") in row] == [
        [
            ("WhatsApp", "", said[-1][0][2]),
            ("Discord webhook", "", "set"),
            ("Preferred channel", "", "E-mail"),
            ("Quiet from", "", "22:00"),
            ("Quiet until", "", "07:30"),
            ("Messages", "wanted", "none"),
        ]
    ]
    assert ("Quiet from", "22:00", "") in said[0]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"quiet_from": "22:00"}, "Quiet hours need both"),
        ({"quiet_from": "22:00", "quiet_until": "22:00"}, "would never be over"),
        ({"preferred": "email", "email": ""}, "an e-mail address is needed"),
        ({"preferred": "whatsapp", "whatsapp": False}, "must have agreed"),
        ({"preferred": "sms", "whatsapp": False, "phone": "12345"}, "For SMS the phone number"),
        ({"preferred": "pigeon"}, "preferred"),
    ],
)
def test_what_could_never_be_sent_is_refused(desk: Desk, wrong: dict[str, Any], why: str) -> None:
    before = desk.details()
    with pytest.raises(InvalidContact, match=why):
        desk.change(**wrong)
    assert desk.details() == before


def test_a_repeat_changes_nothing_and_somebody_elses_change_is_not_overwritten(desk: Desk) -> None:
    seen = desk.details()
    first = desk.change(seen=seen)
    assert desk.change(seen=seen) == first
    with pytest.raises(IllegalChange, match="Somebody else"):
        desk.change(seen=seen, name="M. Nair")
    assert desk.details() == first


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "  "}, "The name is missing"),
        ({"name": "x" * 201}, "The name is longer"),
        ({"name": "A\x00B"}, "The name must be a line"),
        ({"email": "meera"}, "The e-mail address is not an e-mail address"),
        ({"language": "malayalam!"}, "The language is not a language tag"),
        ({"address": "x" * 401}, "The address is longer"),
        ({"phone": "0484 12"}, "For WhatsApp the phone number"),
        ({"phone": ""}, "For WhatsApp the phone number is empty"),
        (
            {"discord_webhook": "https://evil.example/api/webhooks/1/a"},
            "The Discord address is not",
        ),
    ],
)
def test_what_cannot_be_right_is_refused_in_a_sentence(
    desk: Desk, wrong: dict[str, Any], said: str
) -> None:
    before = desk.details()
    with pytest.raises(InvalidContact, match=said):
        desk.change(**wrong)
    assert desk.details() == before


def test_the_database_alone_refuses_details_that_were_seen_otherwise(desk: Desk) -> None:
    seen = {"name": "Nobody", "phone": "", "email": "", "address": "", "language": "en"}
    given: dict[str, Any] = {"actor": ADMIN.user, "seen": seen, "details": seen, "channels": {}}
    with pytest.raises(IllegalChange):
        desk.over.here.change_customer(customer_id=desk.id, **given)
    with pytest.raises(NotFound):
        desk.over.here.change_customer(customer_id=str(uuid4()), **given)


def test_only_the_office_may_look_and_change(desk: Desk) -> None:
    with pytest.raises(NotAllowed):
        desk.contacts.details(customer_id=desk.id, principal=ENGINEER)
    with pytest.raises(NotAllowed):
        desk.contacts.change(
            customer_id=desk.id,
            body=BODY,
            seen=desk.details(),
            principal=ENGINEER,
            now=desk.over.utility.now,
        )
    with pytest.raises(NotFound):
        desk.contacts.details(customer_id="00000000-0000-4000-8000-000000000000", principal=ADMIN)
