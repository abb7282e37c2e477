"""A customer's accounts in plain Python: what the ledger must come to, worked out another way."""

from dataclasses import dataclass, field
from datetime import date


@dataclass
class Item:
    """An entry: its signed amount, and what of it is open; `paid_by` says what pays a bill."""

    name: str
    kind: str
    amount: int
    order_on: date
    number: int
    open: int = 0
    undone: bool = False

    def __post_init__(self) -> None:
        self.open = self.amount


@dataclass
class Book:
    """The entries of one account, and which credit pays which debit, in order."""

    items: dict[str, Item] = field(default_factory=dict)
    pairs: list[tuple[str, str, int]] = field(default_factory=list)

    @property
    def balance(self) -> int:
        """What the customer owes; below 0 they are in credit."""
        return sum(item.amount for item in self.items.values())

    @property
    def credit(self) -> int:
        """What of the credits pays nothing yet."""
        return -sum(item.open for item in self.items.values() if item.open < 0)

    def post(self, name: str, kind: str, amount: int, order_on: date) -> Item:
        """A new entry."""
        item = Item(name, kind, amount, order_on, len(self.items) + 1)
        self.items[name] = item
        return item

    def allocate(self, credit: str, debit: str, amount: int) -> None:
        """The credit pays the debit, or below 0 does not any more."""
        self.items[credit].open += amount
        self.items[debit].open -= amount
        self.pairs.append((credit, debit, amount))

    def settle(self) -> None:
        """The oldest credit pays the oldest debit, until one of the two runs out."""
        while (given := self._open(-1)) and (outbox := self._open(1)):
            credit, debit = given[0], outbox[0]
            self.allocate(credit.name, debit.name, min(-credit.open, debit.open))

    def pay_from_credit(self, debit: str) -> None:
        """One debit is paid by what is open of credits, the oldest first."""
        while self.items[debit].open and (given := self._open(-1)):
            credit = given[0]
            self.allocate(credit.name, debit, min(-credit.open, self.items[debit].open))

    def take_back(
        self, name: str, most: int | None = None, only: tuple[str, ...] | None = None
    ) -> None:
        """What an entry paid or was paid by is open again, the newest first."""
        left = most
        for (credit, debit), amount in self._newest_pairs(name):
            other = self.items[debit if credit == name else credit]
            if only and other.kind not in only:
                continue
            taken = amount if left is None else min(amount, left)
            if taken:
                self.allocate(credit, debit, -taken)
            left = None if left is None else left - taken

    def left_of(self, name: str) -> int:
        """What of a payment is open or pays bills and fees."""
        pays = [(d, n) for (c, d), n in self._newest_pairs(name) if c == name]
        on_bills = sum(n for debit, n in pays if self.items[debit].kind in ("bill", "fee"))
        return on_bills - self.items[name].open

    def undo(self, name: str, order_on: date) -> None:
        """An entry of the opposite amount; the two close each other."""
        self.take_back(name)
        item = self.items[name]
        item.undone = True
        other = self.post(f"{name} undone", f"{item.kind}_undone", -item.amount, order_on)
        if item.amount:
            pair = (name, other.name) if item.amount < 0 else (other.name, name)
            self.allocate(*pair, abs(item.amount))

    def paid_of_bill(self, name: str) -> int:
        """What is paid of a bill; of a credit bill, below 0, what of it has been used."""
        item = self.items[name]
        return item.amount - item.open

    def _open(self, sign: int) -> list[Item]:
        found = [item for item in self.items.values() if item.open * sign > 0]
        return sorted(found, key=lambda item: (item.order_on, item.number))

    def _newest_pairs(self, name: str) -> list[tuple[tuple[str, str], int]]:
        net: dict[tuple[str, str], int] = {}
        last: dict[tuple[str, str], int] = {}
        for place, (credit, debit, amount) in enumerate(self.pairs):
            if name in (credit, debit):
                net[credit, debit] = net.get((credit, debit), 0) + amount
                last[credit, debit] = place
        newest = sorted((pair for pair in net if net[pair]), key=lambda pair: -last[pair])
        return [(pair, net[pair]) for pair in newest]
