"""Which words belong to which table: one line a table. What is not here still reads well."""

from dataclasses import replace
from typing import Final
from zoneinfo import ZoneInfo

from services.history import customer_words, money_words, page_words, supply_words
from services.history.entries import Entry, NamedChange, Said, Words
from services.history.people import name_of
from services.history.values import label_of
from services.languages.sentence import N_, sentence
from services.records.details import Change, ChangePage

# The kinds that a timeline can be filtered by, as people call them.
KINDS: Final = {
    "contact": N_("Contact details"),
    "supply": N_("Meters and agreements"),
    "tariff": N_("Tariffs"),
    "reading": N_("Readings"),
    "bill": N_("Bills"),
    "payment": N_("Payments"),
    "deposit": N_("Deposits"),
    "plan": N_("Plans"),
    "dunning": N_("Dunning"),
    "correction": N_("Corrections"),
    "message": N_("Messages"),
    "page": N_("The customer's page"),
    "note": N_("Notes"),
}
_OTHER: Final = "other"

# Of each audited table the kind of its changes and what is said of one.
TABLES: Final[dict[str, tuple[str, Words]]] = {
    "customers": ("contact", customer_words.customer),
    "customer_channels": ("contact", customer_words.channels),
    "stopped_numbers": ("contact", customer_words.stopped_number),
    "customer_notes": ("note", customer_words.note),
    "customer_sessions": ("page", page_words.visit),
    "customer_pages": ("page", page_words.links),
    "customer_requests": ("page", page_words.request),
    "autopay_mandates": ("page", page_words.autopay),
    "notifications": ("message", customer_words.message),
    "customer_replies": ("message", customer_words.reply),
    "outbox": ("message", money_words.reopened_work),
    "instalment_plans": ("plan", customer_words.plan),
    "dunning_holds": ("dunning", customer_words.dunning_hold),
    "meters": ("supply", supply_words.meter),
    "meter_installations": ("supply", supply_words.installation),
    "service_points": ("supply", supply_words.service_point),
    "service_agreements": ("supply", supply_words.agreement),
    "disconnections": ("supply", supply_words.disconnection),
    "supply_changes": ("supply", supply_words.supply_change),
    "agreement_tariffs": ("tariff", supply_words.agreement_tariff),
    "tariffs": ("tariff", supply_words.tariff),
    "tariff_versions": ("tariff", supply_words.tariff_version),
    "readings": ("reading", supply_words.reading),
    "missed_reads": ("reading", supply_words.missed_read),
    "meter_photos": ("reading", supply_words.photo),
    "reading_requests": ("reading", supply_words.reading_request),
    "bills": ("bill", money_words.bill),
    "spared_bills": ("bill", money_words.spared_bill),
    "payment_links": ("bill", money_words.payment_link),
    "payments": ("payment", money_words.payment),
    "payment_returns": ("payment", money_words.payment_return),
    "payment_flags": ("payment", money_words.payment_flag),
    "allocations": ("payment", money_words.allocation),
    "adjustments": ("payment", money_words.adjustment),
    "deposits": ("deposit", money_words.payment),
    "deposit_uses": ("deposit", money_words.adjustment),
    "corrections": ("correction", money_words.correction),
}


def tables_of(kind: str) -> list[str]:
    """The tables whose changes are of a kind; none for a kind that there is not."""
    return [table for table, (of, _) in TABLES.items() if of == kind]


def entries_of(page: ChangePage, zone: ZoneInfo) -> tuple[Entry, ...]:
    """Changes in words, in the order that they came in."""
    return tuple(_entry(change, page, zone) for change in page.changes)


def _entry(change: Change, page: ChangePage, zone: ZoneInfo) -> Entry:
    named = NamedChange(change, page.names, zone)
    kind, words = TABLES.get(change.table, (_OTHER, _plain))
    if kind == "payment" and named.value("book") == "deposit":
        kind = "deposit"
    said = _taken_back(named, words) if change.action == "delete" else words(named)
    return Entry(
        at=change.at,
        by=name_of(change.actor),
        kind=kind,
        key=change.key,
        said=said,
    )


def _taken_back(named: NamedChange, words: Words) -> Said:
    """A row that did not stand for anything real, in the words of when it came."""
    change = named.change
    as_new = NamedChange(
        change.model_copy(update={"action": "insert", "after": change.before, "before": {}}),
        named.names,
        named.zone,
    )
    return replace(words(as_new), what=sentence("Undone: {what}", what=words(as_new).what))


def _plain(named: NamedChange) -> Said:
    """What is said of a table that nobody has written words for yet."""
    name = label_of(named.change.table)
    for plural, singular in (("ies", "y"), ("ses", "s"), ("s", "")):
        if name.endswith(plural):
            name = sentence(f"{name.removesuffix(plural)}{singular}")
            break
    if named.is_new:
        return Said(what=sentence("{name} added", name=name), details=named.facts())
    return Said(what=sentence("{name} changed", name=name), details=named.details())
