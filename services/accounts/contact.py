"""How a customer is named and reached, as the office changes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import N_, sentence
from services.messages.contact_rules import email_address, language_tag, phone_number, tax_number
from services.messages.discord import check_webhook
from services.messages.phones import InvalidPhone, e164
from services.records.messages import ContactDetails, PreferredChannel


class InvalidContact(ValueError):
    """What was typed cannot be stored as it is; the sentence says what to change."""


def _line(value: Any) -> str:
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if not isinstance(value, str) or not text.isprintable():
        raise ValueError(N_("must be a line of printable characters."))
    return text


Line = Annotated[str, BeforeValidator(_line)]
Email = Annotated[Line, AfterValidator(lambda text: email_address(text) if text else text)]
Phone = Annotated[Line, Field(max_length=60), AfterValidator(phone_number)]
TaxNumber = Annotated[Line, AfterValidator(lambda text: tax_number(text) if text else text)]
Language = Annotated[Line, AfterValidator(lambda text: language_tag(text or "en"))]
Webhook = Annotated[Line, AfterValidator(lambda text: check_webhook(text) if text else text)]


class ContactEntry(BaseModel):
    """The form; a field it does not know is a mistake of the page.

    `discord_webhook` empty leaves the one there is, which is never shown; `no_discord` takes it
    away.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[Line, Field(min_length=1, max_length=200)]
    phone: Phone = ""
    email: Email = ""
    address: Annotated[Line, Field(max_length=400)] = ""
    tax_number: TaxNumber = ""
    language: Language = "en"
    whatsapp: bool = False
    discord_webhook: Webhook = ""
    no_discord: bool = False
    preferred: PreferredChannel | None = None
    quiet_from: time | None = None
    quiet_until: time | None = None
    opted_out: bool = False


_NAMES: Final = {
    "name": N_("The name"),
    "phone": N_("The phone number"),
    "email": N_("The e-mail address"),
    "address": N_("The address"),
    "language": N_("The language"),
    "tax_number": N_("The tax number"),
    "discord_webhook": N_("The Discord address"),
}
_LENGTHS: Final = {
    "too_short": N_("is missing."),
    "too_long": N_("is longer than can be kept."),
}


@dataclass(frozen=True, slots=True)
class CustomerContacts:
    """Contact details of customers. Each method takes a principal who may; changes are audited."""

    database: DatabaseService

    def details(self, *, customer_id: str, principal: Principal) -> ContactDetails:
        """As they stand, without the secret address of a webhook; raises NotAllowed, NotFound."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.stored(customer_id)

    def stored(self, customer_id: str) -> ContactDetails:
        """The same for who was checked before; raises NotFound."""
        account = self.database.account(customer_id)
        contact = self.database.customer_contact(customer_id)
        return ContactDetails(
            name=account.name,
            phone=account.phone,
            email=account.email,
            address=account.address,
            tax_number=account.tax_number,
            language=contact.language,
            whatsapp_since=contact.whatsapp_opt_in_at,
            has_discord=contact.discord_webhook_url is not None,
            preferred=contact.preferred,
            quiet_from=contact.quiet_from,
            quiet_until=contact.quiet_until,
            opted_out=contact.opted_out_at is not None,
            email_bounced_at=contact.email_bounced_at,
            sms_stopped_at=contact.sms_stopped_at,
            phone_unreached_at=contact.phone_unreached_at,
        )

    def change(
        self,
        *,
        customer_id: str,
        body: Mapping[str, Any],
        seen: ContactDetails,
        principal: Principal,
        now: datetime,
    ) -> None:
        """Store what the form says; bills keep the name that they were issued to.

        `seen` is what the form began with. Raises NotAllowed, NotFound, InvalidContact, and
        IllegalChange when somebody else changed the details meanwhile.
        """
        require(principal, Permission.CHANGE_CUSTOMERS)
        self._store(customer_id, _parsed(body), seen, actor=principal.user, now=now)

    def change_own(
        self,
        *,
        customer_id: str,
        body: Mapping[str, Any],
        seen: ContactDetails,
        actor: str,
        now: datetime,
    ) -> None:
        """Store what a customer, who was checked before, changed of their own details.

        What `body` does not name stays as it was seen. Raises as `change` does.
        """
        kept = seen.model_dump(include=_COMPARED | {"preferred", "quiet_from", "quiet_until"})
        kept |= {"whatsapp": seen.whatsapp_since is not None, "opted_out": seen.opted_out}
        self._store(customer_id, _parsed(kept | dict(body)), seen, actor=actor, now=now)

    def _store(
        self,
        customer_id: str,
        entry: ContactEntry,
        seen: ContactDetails,
        *,
        actor: str,
        now: datetime,
    ) -> None:
        self.database.change_customer(
            actor=actor,
            customer_id=customer_id,
            seen=seen.model_dump(include=_COMPARED),
            details=entry.model_dump(include=_COMPARED),
            channels=_channels(entry, seen, now),
        )


_COMPARED: Final = {"name", "phone", "email", "address", "language", "tax_number"}


def _parsed(body: Mapping[str, Any]) -> ContactEntry:
    try:
        entry = ContactEntry.model_validate(dict(body))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        said = _LENGTHS.get(
            first["type"].removeprefix("string_"),
            first.get("ctx", {}).get("error", N_("is not right.")),
        )
        field = sentence(_NAMES[name]) if name in _NAMES else name
        raise InvalidContact(
            sentence("{field} {problem}", field=field, problem=sentence(str(said)))
        ) from None
    if why := _unreachable(entry):
        raise InvalidContact(why)
    return entry


def _unreachable(entry: ContactEntry) -> str:
    """Why nothing could be sent as the form says, or nothing."""
    if entry.whatsapp or entry.preferred == "sms":
        try:
            e164(entry.phone)
        except InvalidPhone as error:
            return sentence(
                "For {channel} the phone number {problem}",
                channel="WhatsApp" if entry.whatsapp else "SMS",
                problem=sentence(str(error)),
            )
    if (entry.quiet_from is None) != (entry.quiet_until is None):
        return sentence("Quiet hours need both a beginning and an end.")
    if entry.quiet_from is not None and entry.quiet_from == entry.quiet_until:
        return sentence("Quiet hours that end when they begin would never be over.")
    if entry.preferred == "email" and not entry.email:
        return sentence("For messages by e-mail an e-mail address is needed.")
    if entry.preferred == "whatsapp" and not entry.whatsapp:
        return sentence("For messages by WhatsApp the customer must have agreed to them.")
    return ""


def _channels(entry: ContactEntry, seen: ContactDetails, now: datetime) -> dict[str, Any]:
    """What changes of how messages are sent; a consent that stands keeps its day."""
    channels: dict[str, Any] = {}
    if entry.whatsapp != (seen.whatsapp_since is not None):
        channels["whatsapp_opt_in_at"] = now.isoformat() if entry.whatsapp else None
    if entry.no_discord:
        channels["discord_webhook_url"] = None
    elif entry.discord_webhook:
        channels["discord_webhook_url"] = entry.discord_webhook
    for name in ("preferred", "quiet_from", "quiet_until"):
        if getattr(entry, name) != getattr(seen, name):
            value = getattr(entry, name)
            channels[name] = value.isoformat() if isinstance(value, time) else value
    if entry.opted_out != seen.opted_out:
        channels["opted_out_at"] = now.isoformat() if entry.opted_out else None
    return channels
