"""What customers do on their page: dispute a bill, move out, send a reading, change their contact.

Each is done under the customer's own name (`customer:` and the account number) in the audit trail,
and needs a visit that showed a code; without one CodeWanted is raised.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.accounts.contact import CustomerContacts, InvalidContact
from services.customer_page.allowances import Allowance, TooMany
from services.customer_page.visits import confirmed
from services.database.errors import NotFound
from services.database.service import DatabaseService
from services.identity.auth import Principal
from services.identity.permissions import Role
from services.languages.language import Language
from services.languages.sentence import sentence, sentence_of
from services.messages.direct import DirectMessages, Note
from services.messages.phones import InvalidPhone, e164
from services.quantities.period import local_date
from services.readings.photos import MeterPhotos
from services.readings.reading_to_bill import ReadingToBill, Submitted
from services.readings.submission import parse_submission
from services.records.customers.pages import NewRequest, Visit
from services.records.details import CustomersMeter
from services.records.messages import ContactDetails

LONGEST_NOTE: Final = 1_000
# So far ahead somebody may say that they move out, and so long ago it may have been.
MOST_DAYS_AHEAD: Final = 180
MOST_DAYS_AGO: Final = 14
_ARRIVED_BY: Final = "on the customer's page"
# What the customer may change; name and address stand on bills, and are the office's to change.
CHANGEABLE: Final = frozenset({"phone", "email", "language", "preferred", "whatsapp", "opted_out"})


class InvalidRequest(ValueError):
    """What was typed cannot be taken; the sentence says what to change."""


@dataclass(frozen=True)
class PageActions:
    """Does what customers ask for; ids and keys are the form's, so a repeat changes nothing."""

    database: DatabaseService
    contacts: CustomerContacts
    reading_to_bill: ReadingToBill
    photos: MeterPhotos
    direct: DirectMessages
    zone: ZoneInfo
    readings: Allowance = field(default_factory=lambda: Allowance(10, timedelta(days=1)))
    requests: Allowance = field(default_factory=lambda: Allowance(20, timedelta(days=1)))
    changes: Allowance = field(default_factory=lambda: Allowance(10, timedelta(days=1)))
    languages: Allowance = field(default_factory=lambda: Allowance(30, timedelta(days=1)))

    def dispute(
        self, visit: Visit, *, request_id: str, bill_id: str, reason: str, now: datetime
    ) -> None:
        """Ask the office to look at a bill again, which holds the account's dunning.

        Raises InvalidRequest, NotFound, IllegalChange with a sentence, TooMany.
        """
        note = _note(reason)
        if not note:
            raise InvalidRequest(sentence("Say what is wrong with the bill."))
        self._ask(visit, NewRequest(request_id, "dispute", bill_id=bill_id, note=note), now)

    def move_out(
        self,
        visit: Visit,
        *,
        request_id: str,
        agreement_id: str,
        last_day: str,
        note: str,
        now: datetime,
    ) -> None:
        """Tell the office that the supply of a place is to end; raises as `dispute` does."""
        request = NewRequest(
            request_id,
            "move_out",
            agreement_id=agreement_id,
            wanted_on=_last_day(last_day, today=local_date(now, self.zone)),
            note=_note(note),
        )
        self._ask(visit, request, now)

    def withdraw(self, visit: Visit, *, request_id: str, now: datetime) -> None:
        """Take a request back; dunning goes on. Raises NotFound, IllegalChange."""
        self.database.close_customer_request(
            actor=confirmed(visit).actor,
            request_id=request_id,
            customer_id=visit.customer_id,
            state="withdrawn",
            at=now,
        )

    def send_reading(
        self,
        visit: Visit,
        *,
        key: str,
        meter_id: str,
        reading_kwh: str,
        registers: Mapping[str, str],
        photo: bytes,
        now: datetime,
    ) -> Submitted:
        """Hand in what the customer read just now, with a photo if there is one.

        It is judged and billed as any reading. Raises InvalidReading, InvalidPhoto, NotFound, and
        as ReadingToBill.submit does.
        """
        meter = self._own_meter(visit, meter_id)
        self.readings.use(visit.customer_id, now)
        principal = _reader(visit)
        body: dict[str, Any] = {
            "meter_serial": meter.serial,
            "reading_kwh": reading_kwh,
            "read_at": now.isoformat(),
            "idempotency_key": key,
            "registers": dict(registers),
        }
        submission = parse_submission(body, zone=self.zone, now=now)
        if photo:
            self.photos.keep(content=photo, key=key, meter_serial=meter.serial, principal=principal)
        return self.reading_to_bill.submit(
            submission=submission,
            principal=principal,
            now=now,
            arrived_by=_ARRIVED_BY,
            source="customer",
        )

    def contact(self, visit: Visit) -> ContactDetails:
        """How the customer is reached."""
        return self.contacts.stored(confirmed(visit).customer_id)

    def change_contact(
        self, visit: Visit, *, body: Mapping[str, Any], seen: ContactDetails, now: datetime
    ) -> None:
        """Store what the customer changed; a note of it goes to the address that was used before.

        `seen` is what the form began with. Raises InvalidContact, IllegalChange when somebody else
        changed it meanwhile, TooMany.
        """
        confirmed(visit)
        wanted = {name: value for name, value in body.items() if name in CHANGEABLE}
        if wanted.get("phone"):
            wanted["phone"] = _dialled(str(wanted["phone"]))
        self.changes.use(visit.customer_id, now)
        before = self.database.customer_contact(visit.customer_id)
        self.contacts.change_own(
            customer_id=visit.customer_id, body=wanted, seen=seen, actor=visit.actor, now=now
        )
        after = self.database.customer_contact(visit.customer_id)
        if (before.email, before.phone) != (after.email, after.phone):
            self.direct.send(before, _changed_note(Language.of(before.language)))

    def trust_email(self, visit: Visit, *, now: datetime) -> None:
        """Let mail go again to the customer's address, as they say that it works; raises TooMany.

        If it comes back again, the address is marked again.
        """
        self.changes.use(confirmed(visit).customer_id, now)
        self.database.message_book.trust_email(actor=visit.actor, customer_id=visit.customer_id)

    def choose_language(self, visit: Visit, *, language: str, now: datetime) -> None:
        """Keep the language that the customer chose on a page as theirs; raises IllegalChange."""
        seen = self.contact(visit)
        if seen.language.partition("-")[0] == language:
            return
        with suppress(TooMany):
            self.languages.use(visit.customer_id, now)
            self.contacts.change_own(
                customer_id=visit.customer_id,
                body={"language": language},
                seen=seen,
                actor=visit.actor,
                now=now,
            )

    def _ask(self, visit: Visit, request: NewRequest, now: datetime) -> None:
        confirmed(visit)
        self.requests.use(visit.customer_id, now)
        self.database.ask_customer_request(
            actor=visit.actor,
            customer_id=visit.customer_id,
            request=request,
            at=now,
            today=local_date(now, self.zone),
        )

    def _own_meter(self, visit: Visit, meter_id: str) -> CustomersMeter:
        found = self.database.meters_of_customer(customer_id=confirmed(visit).customer_id)
        for meter in found:
            if meter.id == meter_id:
                return meter
        raise NotFound("EB404", sentence("No such meter."))


def _reader(visit: Visit) -> Principal:
    """The customer as one who reads a meter; which meter was looked at before."""
    return Principal(visit.actor, frozenset({Role.ENGINEER}), expires_at=None, via="token")


def _note(text: str) -> str:
    kept = "\n".join(" ".join(line.split()) for line in text.splitlines()).strip()
    if len(kept) > LONGEST_NOTE:
        raise InvalidRequest(sentence("Write at most {most} letters.", most=str(LONGEST_NOTE)))
    if not kept.replace("\n", "").isprintable():
        raise InvalidRequest(
            sentence("There is a sign in the text that cannot be kept. Type it again.")
        )
    return kept


def _last_day(text: str, *, today: date) -> date:
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        raise InvalidRequest(sentence("Give the last day as a date, such as 2026-05-31.")) from None
    first, last = today - timedelta(days=MOST_DAYS_AGO), today + timedelta(days=MOST_DAYS_AHEAD)
    if not first <= day <= last:
        raise InvalidRequest(
            sentence(
                "Give a day from {first} to {last}; for another one, call or visit us.",
                first=first,
                last=last,
            )
        )
    return day


def _dialled(phone: str) -> str:
    try:
        return e164(phone)
    except InvalidPhone as error:
        problem = sentence(sentence_of(error))
        raise InvalidContact(
            sentence("{field} {problem}", field=sentence("The phone number"), problem=problem)
        ) from None


def _changed_note(language: Language) -> Note:
    return Note(
        language.gettext("Your contact details were changed"),
        language.gettext(
            "Somebody changed the e-mail address or the phone number of your electricity account "
            "on your page. If it was not you, tell us at once: we can put it right."
        ),
    )
