"""Everything that a bill prints, as it was at issue: frozen, without a look at anything else."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from services.bill_documents.line_names import ChargeName
from services.metering.interval_quality import IntervalQuality
from services.rating import BillLine, NetBill
from services.records.documents.taxes import TaxAtRate, taxes_by_rate

ReadKind = Literal["actual", "customer", "estimated", "edited", "unsure"]
EntryKind = Literal["payment", "credit", "refund", "fee", "adjustment"]


@dataclass(frozen=True, slots=True)
class Utility:
    """Who sends the bill; `contact` may have several lines, `logo` is a PNG.

    `facts` are what its bills say besides, by the names of services/jurisdictions/facts.py. `asks`
    are the facts of a bill itself that are printed because a rule asks for them.
    """

    name: str
    contact: str = ""
    logo: bytes | None = None
    tax_number: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    asks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RegisterRead:
    """What a register showed, in whole Wh (VAh, varh), on a local date."""

    value: int
    on: date
    kind: ReadKind = "actual"


@dataclass(frozen=True, slots=True)
class RegisterLine:
    """A register over the period; `name` as in services/metering/registers.py, "" for the total.

    `used` is in whole Wh after the multiplier, or the maximum in W, which has no reads. On a bill
    over several meters or multipliers the total has a line for each, with its own `meter_serial`
    and `multiplier_milli`, and what they come to has no reads.
    """

    name: str
    used: int
    opening: RegisterRead | None = None
    closing: RegisterRead | None = None
    meter_serial: str = ""
    multiplier_milli: int | None = None


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """What happened on the account since the last bill; `amount_minor` is what it adds to the debt.

    So payments and credits are negative. `method` is how money was paid, such as "cash".
    """

    kind: EntryKind
    amount_minor: int
    on: date
    method: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True)
class StatementEntry:
    """An entry of an account on a statement; `detail` says more, such as a bill's number."""

    kind: EntryKind | Literal["bill", "bill_void"]
    on: date
    amount_minor: int
    detail: str = ""
    method: str = ""


@dataclass(frozen=True, slots=True)
class StatementBill:
    """A bill on a statement: of which place and meter, for which days, whole Wh, minor units."""

    number: str
    place: str
    meter_serial: str
    period_start: date
    period_end: date
    consumption_wh: int
    total_minor: int


@dataclass(frozen=True, slots=True)
class StatementDocument:
    """A statement of account as printed: what happened in the local dates [start, end).

    One document for all agreements of a customer. Amounts are minor units of `currency`; above 0 is
    owed by the customer. `opening_minor` is the balance before `start`.
    """

    utility: Utility
    language: str
    customer_name: str
    address: str
    account_no: str
    currency: str
    start: date
    end: date
    opening_minor: int
    customer_tax_number: str = ""
    entries: tuple[StatementEntry, ...] = ()
    bills: tuple[StatementBill, ...] = ()

    @property
    def closing_minor(self) -> int:
        """The balance after the last entry: it adds up on paper by definition."""
        return self.opening_minor + sum(entry.amount_minor for entry in self.entries)


@dataclass(frozen=True, slots=True)
class ReceiptDocument:
    """A payment's receipt as printed; amounts are minor units of `currency`.

    `paid` are the numbers of bills with what each got of the money, an empty number for fees;
    `left_minor` of it pays nothing yet.
    """

    utility: Utility
    language: str
    customer_name: str
    address: str
    account_no: str
    currency: str
    number: str
    received_on: date
    amount_minor: int
    method: str
    reference: str = ""
    customer_tax_number: str = ""
    paid: tuple[tuple[str, int], ...] = ()
    left_minor: int = 0


@dataclass(frozen=True, slots=True)
class CreditNoteDocument:
    """A credit note as printed: it takes back bill `bill_number` in whole, for the reason.

    Amounts are minor units of `currency`, above 0 in the customer's favour. `taxes` are those of
    the bill; `replaced_by` is the number of the bill in its place, or "".
    """

    utility: Utility
    language: str
    customer_name: str
    address: str
    account_no: str
    currency: str
    number: str
    given_on: date
    bill_number: str
    bill_issued_on: date
    period_start: date
    period_end: date
    meter_serial: str
    reason: str
    lines: tuple[BillLine, ...]
    subtotal_minor: int
    tax_minor: int
    total_minor: int
    replaced_by: str = ""
    customer_tax_number: str = ""
    charge_names: tuple[ChargeName, ...] = ()

    @property
    def taxes(self) -> tuple[TaxAtRate, ...]:
        """The taxes that are taken back, by rate."""
        return taxes_by_rate(self.lines)


@dataclass(frozen=True, slots=True)
class LetterDocument:
    """A message as a letter, written on a local date; `text` has a paragraph in each line."""

    utility: Utility
    language: str
    customer_name: str
    address: str
    account_no: str
    currency: str
    written_on: date
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class MonthOfUse:
    """What was used in the bills that ended in a month (its first day); None without a bill."""

    month: date
    wh: int | None


@dataclass(frozen=True, slots=True)
class BillDocument:
    """A bill as printed. Amounts are minor units of `currency`, energy whole Wh, dates local.

    `registers` has the total first. `meter_serial` has the meters in order, with commas;
    `service_address` is that of the supply where it is another than the customer's.
    `brought_forward_minor` is the balance before the entries: what was unpaid, or negative for a
    credit. The period is half-open, as everywhere. `net` are the banks of kWh under net metering.
    `charge_names` are those that the tariff has in the customer's language.
    """

    utility: Utility
    language: str
    customer_name: str
    address: str
    account_no: str
    meter_serial: str
    tariff_name: str
    number: str
    issued_on: date
    due_date: date
    period_start: date
    period_end: date
    registers: tuple[RegisterLine, ...]
    multiplier_milli: int
    consumption_wh: int
    currency: str
    lines: tuple[BillLine, ...]
    subtotal_minor: int
    tax_minor: int
    total_minor: int
    brought_forward_minor: int = 0
    entries: tuple[AccountEntry, ...] = ()
    months: tuple[MonthOfUse, ...] = ()
    payment_url: str | None = None
    replaces: str | None = None
    service_address: str = ""
    net: NetBill | None = None
    interval_quality: IntervalQuality | None = None
    charge_names: tuple[ChargeName, ...] = ()
    customer_tax_number: str = ""
    # Printed where the utility's rules ask for them; the agreement has no end while it is None.
    supply_point: str = ""
    contract_ends_on: date | None = None
    # Whether autopay pays the bill; not what was open before it.
    autopaid: bool = False

    @property
    def taxes(self) -> tuple[TaxAtRate, ...]:
        """Its taxes by rate; they add up to `tax_minor`."""
        return taxes_by_rate(self.lines)

    @property
    def amount_due_minor(self) -> int:
        """What is to be paid, negative for a credit: it adds up on paper by definition."""
        moved = sum(entry.amount_minor for entry in self.entries)
        return self.brought_forward_minor + moved + self.total_minor

    @property
    def is_left_to_autopay(self) -> bool:
        """Whether autopay pays all that is due, so that its customer has nothing to do."""
        return self.autopaid and self.amount_due_minor <= self.total_minor

    @property
    def is_estimated(self) -> bool:
        """True when a read that the bill rests on was estimated."""
        reads = (read for line in self.registers for read in (line.opening, line.closing))
        return any(read is not None and read.kind == "estimated" for read in reads)
