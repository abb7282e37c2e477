"""What a correction does to bills: before and after, line by line, and how far back it reaches.

Amounts are in minor units of the bills' currency; dates are local to the utility.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from services.languages.sentence import N_, nsentence, sentence
from services.records.bills import NewBill
from services.records.corrections import ChainBill, name_of
from services.records.readings import Read

_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class AffectedBills:
    """Bills in whose place one is made between two reads, or none (`again` false); and why.

    Mostly it is one bill; two where the read between them is withdrawn.
    """

    bills: tuple[ChainBill, ...]
    opening: Read
    closing: Read
    why: str
    again: bool = True

    @property
    def is_draft(self) -> bool:
        """A draft becomes a draft."""
        return any(bill.stored_status == "draft" for bill in self.bills)


@dataclass(frozen=True, slots=True)
class LineChange:
    """A line before and after, by its code and words, in minor units; None where there is none."""

    code: str
    description: str
    before_minor: int | None
    after_minor: int | None

    @property
    def difference_minor(self) -> int:
        """What it comes to more; below 0, less."""
        return (self.after_minor or 0) - (self.before_minor or 0)


@dataclass(frozen=True, slots=True)
class BillChange:
    """Void bills and the one that takes their place, if any does."""

    affected: AffectedBills
    new: NewBill | None

    @property
    def before_minor(self) -> int:
        """What the void bills came to."""
        return sum(bill.total_minor for bill in self.affected.bills)

    @property
    def after_minor(self) -> int:
        """What the new bill comes to."""
        return self.new.rated.total_minor if self.new else 0

    @property
    def difference_minor(self) -> int:
        """What is billed more; below 0, less."""
        return self.after_minor - self.before_minor

    @property
    def due_minor(self) -> int:
        """What the customer will have to pay more; nobody has to pay a draft."""
        before = sum(b.total_minor for b in self.affected.bills if b.stored_status == "issued")
        after = self.after_minor if self.new and self.new.issue else 0
        return after - before

    def lines(self) -> list[LineChange]:
        """The difference line by line, in the order of the new bill, then what is no more."""
        before = _sums(
            (x.code, x.description, x.amount_minor) for b in self.affected.bills for x in b.lines
        )
        new = self.new.rated.lines if self.new else ()
        after = _sums((line.code, line.description, line.amount_minor) for line in new)
        return list(_paired(before, after))


def back_billing_limit(*, today: date, months: int) -> date:
    """The first local date that lies not more than so many months back."""
    year, month = divmod(today.year * 12 + today.month - 1 - months, 12)
    first = date(year, month + 1, 1)
    last = (date(year + (month == 11), (month + 1) % 12 + 1, 1) - first).days
    return first.replace(day=min(today.day, last))


def beyond(changes: Sequence[BillChange], *, limit: date) -> list[ChainBill]:
    """The affected bills that begin before the back-billing limit."""
    bills = (bill for change in changes for bill in change.affected.bills)
    return [bill for bill in bills if bill.period_start < limit]


def back_billing_warning(changes: Sequence[BillChange], *, today: date, months: int) -> str:
    """What is said of affected bills that reach further back than so many months, or nothing."""
    limit = back_billing_limit(today=today, months=months)
    old = beyond(changes, limit=limit)
    if not old:
        return ""
    names: str = name_of(old[0].number)
    for bill in old[1:5]:
        names = sentence("{said}, {more}", said=names, more=name_of(bill.number))
    if len(old) > 5:
        names = sentence("{names} and {number} more", names=names, number=len(old) - 5)
    said = N_(
        "Back-billing: {names} reach back before {day}, more than {months}. "
        "Rules may forbid to charge more for days so long ago."
    )
    if len(old) == 1:
        said = N_(
            "Back-billing: {names} reaches back before {day}, more than {months}. "
            "Rules may forbid to charge more for days so long ago."
        )
    many = nsentence("{count} month", "{count} months", months)
    return sentence(said, names=names, day=limit, months=many)


def _sums(lines: Iterable[tuple[str, str, int]]) -> dict[_Key, int]:
    sums: dict[_Key, int] = {}
    for code, description, minor in lines:
        sums[code, description] = sums.get((code, description), 0) + minor
    return sums


def _paired(before: dict[_Key, int], after: dict[_Key, int]) -> Iterator[LineChange]:
    """Lines of the same words belong together; what is left, in order, those of the same code."""
    left = [key for key in before if key not in after]
    for key, minor in after.items():
        old: _Key | None = key
        if key not in before:
            old = next((other for other in left if other[0] == key[0]), None)
            left = [other for other in left if other != old]
        yield LineChange(*key, None if old is None else before[old], minor)
    for key in left:
        yield LineChange(*key, before[key], None)
