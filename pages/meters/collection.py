"""What came of asking the head-end for a smart meter, in words."""

from typing import Final

from pages.languages.words import _, say
from pages.shared.format import Color, count, moment
from pages.shared.session import services, zone
from services.identity.auth import Principal
from services.languages.sentence import N_
from services.records.submissions import CollectedMeter, CollectionOutcome

OUTCOMES: Final[dict[CollectionOutcome, tuple[str, Color]]] = {
    "collected": (N_("Collected"), "green"),
    "doubted": (N_("Needs review"), "orange"),
    "no_answer": (N_("No answer"), "red"),
    "not_believed": (N_("Not believed"), "red"),
    "not_stored": (N_("Not stored"), "red"),
    "not_asked": (N_("Not asked"), "gray"),
}
_OUTCOMES_AT: Final[dict[CollectionOutcome, str]] = {
    "collected": N_("collected {moment}"),
    "doubted": N_("needs review {moment}"),
    "no_answer": N_("no answer {moment}"),
    "not_believed": N_("not believed {moment}"),
    "not_stored": N_("not stored {moment}"),
    "not_asked": N_("not asked {moment}"),
}


def what_now(one: CollectedMeter) -> str:
    """What happens next with a meter that gave no reading; empty where nothing does."""
    if one.next_try_at is not None:
        return _("asked again {moment}", moment=moment(one.next_try_at, zone()))
    if one.round_at is not None:
        return _("on the round")
    return ""


def collection_facts(meter_id: str, principal: Principal) -> list[tuple[str, str]]:
    """The last time that a meter was asked for, as what stands beside its other facts."""
    one = services().readings.collection_of(meter_id=meter_id, principal=principal)
    if one is None:
        return []
    said = _(_OUTCOMES_AT[one.outcome], moment=moment(one.tried_at, zone()))
    if one.tries > 1:
        said = f"{said} · {count(one.tries, 'try', 'tries')}"
    facts = [(_("Head end"), said)]
    if one.reason:
        facts.append((_("Why no reading"), say(one.reason)))
    if now := what_now(one):
        facts.append((_("What now"), now))
    if one.reading_id is None and one.collected_at is not None:
        facts.append((_("Last collected"), moment(one.collected_at, zone())))
    return facts
