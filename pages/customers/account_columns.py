"""What a list of customers shows of each: whose account it is, what they owe, what is overdue."""

from pages.languages.words import _
from pages.shared.format import count, money
from pages.shared.list_columns import Column
from pages.shared.session import services
from services.languages.sentence import N_
from services.records.ledger import Account


def in_currency(account: Account, minor: int) -> str:
    """An amount of the account; of one without any entry in the utility's currency."""
    return money(minor, account.currency or services().settings.currency)


def balance(account: Account) -> str:
    """The balance: an amount that is owed, or one in credit."""
    amount = in_currency(account, abs(account.balance_minor))
    return _("{amount} in credit", amount=amount) if account.balance_minor < 0 else amount


def summary(account: Account) -> list[str]:
    """What a card says of an account."""
    said = [_("Account {account_no}", account_no=account.account_no), account.address]
    if account.open_bills:
        said.append(count(account.open_bills, _("open bill")))
    if account.deposit_minor:
        said.append(_("{account} deposit", account=in_currency(account, account.deposit_minor)))
    return said


def _overdue(account: Account) -> str:
    if not account.overdue_minor:
        return ""
    return _("{account} overdue", account=in_currency(account, account.overdue_minor))


COLUMNS: tuple[Column[Account], ...] = (
    Column(label=N_("Name"), text=lambda account: account.name, sort="name", place="title"),
    Column(label=N_("Account"), text=lambda account: account.account_no, sort="account"),
    Column(label=N_("Address"), text=lambda account: account.address, place="text"),
    Column(
        label=N_("Deposit"),
        text=lambda account: (
            in_currency(account, account.deposit_minor) if account.deposit_minor else "–"
        ),
        right=True,
    ),
    Column(
        label=N_("Open bills"),
        text=lambda account: str(account.open_bills or "–"),
        right=True,
    ),
    Column(
        label=N_("Balance"),
        text=balance,
        sort="balance",
        largest_first=True,
        right=True,
        place="amount",
    ),
    Column(
        label=N_("Overdue"),
        text=_overdue,
        color=lambda account: "red" if account.overdue_minor else None,
        sort="overdue",
        largest_first=True,
        right=True,
        place="status",
    ),
)
