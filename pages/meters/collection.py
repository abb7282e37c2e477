"""What came of asking the head-end for a smart meter, in words."""

from typing import Final

from pages.shared.format import Color, count, moment
from pages.shared.session import services, zone
from services.identity.auth import Principal
from services.records.submissions import CollectedMeter, CollectionOutcome

OUTCOMES: Final[dict[CollectionOutcome, tuple[str, Color]]] = {
    "collected": ("Collected", "green"),
    "doubted": ("Needs review", "orange"),
    "no_answer": ("No answer", "red"),
    "not_believed": ("Not believed", "red"),
    "not_stored": ("Not stored", "red"),
    "not_asked": ("Not asked", "gray"),
}


def what_now(one: CollectedMeter) -> str:
    """What happens next with a meter that gave no reading; empty where nothing does."""
    if one.next_try_at is not None:
        return f"asked again {moment(one.next_try_at, zone())}"
    if one.round_at is not None:
        return "on the round"
    return ""


def collection_facts(meter_id: str, principal: Principal) -> list[tuple[str, str]]:
    """The last time that a meter was asked for, as what stands beside its other facts."""
    one = services().readings.collection_of(meter_id=meter_id, principal=principal)
    if one is None:
        return []
    tries = f", {count(one.tries, 'try', 'tries')}" if one.tries > 1 else ""
    said = f"{OUTCOMES[one.outcome][0].lower()} {moment(one.tried_at, zone())}{tries}"
    facts = [("Head end", said)]
    if one.reason:
        facts.append(("Why no reading", one.reason))
    if now := what_now(one):
        facts.append(("What now", now))
    if one.reading_id is None and one.collected_at is not None:
        facts.append(("Last collected", moment(one.collected_at, zone())))
    return facts
