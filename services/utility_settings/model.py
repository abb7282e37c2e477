"""The settings that the utility may set itself, what each must be, and all that holds now."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from services.jurisdictions import PrintedFact, jurisdictions
from services.languages.sentence import N_, sentence
from services.messages.contact_rules import email_address, language_tag, tax_number
from services.records.reports.account_codes import AccountCodes
from services.records.use_limits import LimitsFor
from services.settings import (
    ContactLines,
    CurrencyCode,
    DaysToWait,
    DueDays,
    InARow,
    Settings,
    TimeZone,
    UtilityName,
)

FeeKind = Literal[
    "connection",
    "reconnection",
    "disconnection",
    "late_payment",
    "returned_payment",
    "meter_test",
]
FEE_KINDS: Final[tuple[FeeKind, ...]] = get_args(FeeKind)
# Beyond any fee there is, in any currency's minor units.
MOST_FEE_MINOR: Final = 10**12
MOST_LIMITS: Final = 200
MOST_OF_A_FACT: Final = 600

_PHONE: Final = re.compile(r"[0-9+()/,;.\- ]*[0-9][0-9+()/,;.\- ]*")
_HOST: Final = re.compile(r"(?i)([\w-]+\.)+[^\W\d_]{2,}")


def _line(value: Any) -> Any:
    text = " ".join(value.split()) if isinstance(value, str) else value
    return _printable(text)


def _lines(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    lines = (" ".join(line.split()) for line in value.splitlines())
    return "\n".join(_printable(line) for line in lines).strip()


def _printable(text: Any) -> Any:
    if isinstance(text, str) and not text.isprintable():
        raise ValueError("not printable")
    return text


def _phone(text: str) -> str:
    if text and not _PHONE.fullmatch(text):
        raise ValueError("not a telephone number")
    return text


def _website(text: str) -> str:
    if not text:
        return text
    parts = urlsplit(text if "://" in text else f"https://{text}")
    is_web = parts.scheme in {"http", "https"} and "@" not in parts.netloc and " " not in text
    if not is_web or not _HOST.fullmatch(parts.hostname or ""):
        raise ValueError("not a web address")
    return text


def _one_each(rows: tuple[LimitsFor, ...]) -> tuple[LimitsFor, ...]:
    meant = [(row.tariff_id, month) for row in rows for month in row.months or (0,)]
    if len(set(meant)) < len(meant):
        raise ValueError("limits given twice")
    return rows


def _jurisdiction(name: str) -> str:
    if name and name not in jurisdictions():
        raise ValueError("no such jurisdiction")
    return name


def _language(text: str) -> str:
    try:
        Locale.parse(language_tag(text), sep="-")
    except (UnknownLocaleError, ValueError):
        raise ValueError("not a known language") from None
    return text


Phone = Annotated[str, BeforeValidator(_line), Field(max_length=60), AfterValidator(_phone)]
Email = Annotated[
    str, BeforeValidator(_line), AfterValidator(lambda text: email_address(text) if text else text)
]
Website = Annotated[str, BeforeValidator(_line), Field(max_length=200), AfterValidator(_website)]
Language = Annotated[str, BeforeValidator(_line), AfterValidator(_language)]
TaxNumber = Annotated[
    str, BeforeValidator(_line), AfterValidator(lambda text: tax_number(text) if text else text)
]
CreditNotePrefix = Annotated[str, Field(pattern=r"^[A-Z0-9/.-]{0,12}$")]
JurisdictionName = Annotated[str, AfterValidator(_jurisdiction)]
FactText = Annotated[str, BeforeValidator(_lines), Field(min_length=1, max_length=MOST_OF_A_FACT)]
# What bills say because a rule asks for it, by fact.
BillFacts = dict[PrintedFact, FactText]
LogoHash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FirstNumber = Annotated[int, Field(ge=1, le=999_999_999)]
FeeMinor = Annotated[int, Field(gt=0, le=MOST_FEE_MINOR)]
# Of which a second person must approve each.
FourEyes = Literal["refunds", "voids", "tariffs"]
FOUR_EYES: Final[tuple[FourEyes, ...]] = get_args(FourEyes)
LimitMinor = Annotated[int, Field(gt=0, le=MOST_FEE_MINOR)]
# By currency, in minor units: refunds above it need a manager.
RefundLimits = dict[CurrencyCode, LimitMinor]
ValidationRows = Annotated[
    tuple[LimitsFor, ...], Field(max_length=MOST_LIMITS), AfterValidator(_one_each)
]
# By currency, then by kind, in minor units.
Fees = dict[CurrencyCode, dict[FeeKind, FeeMinor]]


class UtilityValues(BaseModel):
    """What may be stored. A field that was not given is not set."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    utility_name: Annotated[UtilityName, BeforeValidator(_line)] = ""
    utility_contact: Annotated[ContactLines, BeforeValidator(_lines)] = ""
    utility_phone: Phone = ""
    utility_email: Email = ""
    utility_website: Website = ""
    timezone: TimeZone = ZoneInfo("UTC")
    currency: Annotated[CurrencyCode, BeforeValidator(_line)] = ""
    default_language: Language = "en"
    due_days: DueDays = 0
    first_bill_number: FirstNumber = 1
    bill_approval: bool = False
    estimate_missing_reads: bool = False
    estimate_after_days: DaysToWait = 0
    estimates_in_a_row: InARow = 1
    logo: LogoHash | None = None
    fees: Fees = Field(default_factory=dict)
    validation_limits: ValidationRows = ()
    four_eyes: tuple[FourEyes, ...] = ()
    refund_limits: RefundLimits = Field(default_factory=dict)
    account_codes: AccountCodes = Field(default_factory=dict)
    tax_number: TaxNumber = ""
    credit_notes: bool = False
    credit_note_prefix: CreditNotePrefix = "CN-"
    first_credit_note_number: FirstNumber = 1
    jurisdiction: JurisdictionName = ""
    bill_facts: BillFacts = Field(default_factory=dict)


# Ends the sentence about a wrong value; the same for all that can be wrong with it.
SENTENCES: Final[Mapping[str, str]] = {
    "utility_name": N_("The name must have 1 to 100 characters, in one line."),
    "utility_contact": N_("The address must have at most 200 characters."),
    "utility_phone": N_("The phone number must be one such as +91 484 123 4567."),
    "utility_email": N_("The e-mail address must be one such as office@example.org."),
    "utility_website": N_("The website must be an address such as www.example.org."),
    "timezone": N_("The time zone must be one such as Asia/Kolkata."),
    "currency": N_("The currency must be a three-letter code such as INR."),
    "default_language": N_("The language must be a tag such as en, hi or ml."),
    "due_days": N_("The days until due must be a whole number from 0 to 365, such as 15."),
    "first_bill_number": N_("The first bill's number must be a whole number from 1 to 999999999."),
    "bill_approval": N_("Approval of bills must be on or off."),
    "estimate_missing_reads": N_("Estimating missing reads must be on or off."),
    "estimate_after_days": N_("The days to wait for a read must be a whole number from 0 to 25."),
    "estimates_in_a_row": N_("Estimates in a row must be a whole number from 1 to 12, such as 3."),
    "logo": N_("The logo must be uploaded as a file."),
    "validation_limits": N_(
        "Limits must be whole percentages: high use above 110 or more, low use "
        "below 90 or less; there is one set of them for the same tariff and months."
    ),
    "four_eyes": N_("A second person may approve refunds, voids and tariffs."),
    "refund_limits": N_("A limit for refunds must be an amount above 0, such as 5000.00."),
    "account_codes": N_(
        "Each account needs a code of up to 20 letters, digits, dots and dashes, such as 1200. "
        "Only accounts of money, of revenue and of tax may share one among themselves; a rate of "
        "tax is a number such as 18."
    ),
    "tax_number": N_(
        "The tax number must have 4 to 40 letters, digits and signs; one that "
        "begins like a European VAT number (DE136695976) or an Indian GSTIN must have that form."
    ),
    "credit_notes": N_("Credit notes must be on or off."),
    "credit_note_prefix": N_(
        "What credit notes' numbers begin with must be up to 12 capital letters, "
        "digits and the signs / . - such as CN-."
    ),
    "first_credit_note_number": N_(
        "The first credit note's number must be a whole number from 1 to 999999999."
    ),
    "jurisdiction": N_("The jurisdiction must be one of the list, or none."),
    "bill_facts": sentence(
        "What a bill says must have at most {most} characters each.", most=MOST_OF_A_FACT
    ),
    "fees": N_("A fee must be an amount above 0, such as 250.00."),
}


class LiveSettings(Settings):
    """All that holds now: what the environment says, else what the utility set, else defaults.

    `model_fields_set` are those that the environment says. `fees` are in minor units by currency
    and kind, `logo` is the image's SHA-256.
    """

    utility_phone: str = ""
    utility_email: str = ""
    utility_website: str = ""
    default_language: str = "en"
    first_bill_number: int = 1
    logo: str | None = None
    fees: Fees = Field(default_factory=dict)
    validation_limits: tuple[LimitsFor, ...] = ()
    four_eyes: tuple[FourEyes, ...] = ()
    refund_limits: RefundLimits = Field(default_factory=dict)
    account_codes: AccountCodes = Field(default_factory=dict)
    tax_number: str = ""
    credit_notes: bool = False
    credit_note_prefix: str = "CN-"
    first_credit_note_number: int = 1
    jurisdiction: str = ""
    bill_facts: BillFacts = Field(default_factory=dict)


NAMES: Final = tuple(UtilityValues.model_fields)


def live_settings(
    deployed: Settings, stored: Mapping[str, Any], *, zone: ZoneInfo | None = None
) -> LiveSettings:
    """The environment's settings over those that are stored, as JSON has them.

    A stored value that this version cannot use counts as not set. `zone` is the time zone of a
    process that has begun with it.
    """
    given = deployed.model_fields_set
    wanted = {n: v for n, v in stored.items() if n in NAMES and v is not None and n not in given}
    held = {name: getattr(deployed, name) for name in Settings.model_fields}
    held |= _usable(wanted)
    if zone is not None:
        held["timezone"] = zone
    return LiveSettings.model_construct(_fields_set=set(given), **held)


def _usable(stored: dict[str, Any]) -> dict[str, Any]:
    try:
        values = UtilityValues.model_validate(stored)
    except ValidationError as error:
        wrong = {str(detail["loc"][0]) for detail in error.errors()}
        return _usable({name: value for name, value in stored.items() if name not in wrong})
    return {name: getattr(values, name) for name in values.model_fields_set}
