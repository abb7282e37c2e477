"""The details of a place of supply, as the office changes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from services.accounts.contact import Line
from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import N_, sentence, sentence_of
from services.quantities.energy import InvalidEnergy
from services.quantities.typed import typed_kwh
from services.records.readings import MeterKind
from services.records.supply import Place, ServicePoint
from services.supply.place_reads import Key, PlaceReadPage, page_of

_MOST_WATTS: Final = 2_000_000_000


class InvalidPlace(ValueError):
    """What was typed cannot be stored as it is; the sentence says what to change."""


def _watts(value: Any) -> int | None:
    """A connected load as typed, kW (kVA), in W (VA); None where nothing was typed."""
    if value in ("", None):
        return None
    try:
        watts = typed_kwh(str(value), what=N_("connected load"), unit="kW")
    except InvalidEnergy as error:
        why = sentence("is not a number of kW: {error}", error=sentence_of(error))
        raise ValueError(why) from None
    if not 0 < watts <= _MOST_WATTS:
        raise ValueError(sentence("must be more than 0 and at most 2,000,000 kW."))
    return watts


Load = Annotated[int | None, BeforeValidator(_watts)]


class PlaceEntry(BaseModel):
    """The form; a field it does not know is a mistake of the page. Loads are typed in kW, kVA."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: Annotated[Line, Field(min_length=1, max_length=60)]
    address: Annotated[Line, Field(max_length=400)] = ""
    route: Annotated[Line, Field(max_length=60)] = ""
    sequence: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    phases: Annotated[int, Field(ge=1, le=3)] | None = None
    connected_w: Load = None
    connected_va: Load = None
    transformer_code: Annotated[Line, AfterValidator(lambda code: code or None)] | None = None
    access_note: Annotated[Line, Field(max_length=400)] = ""


_NAMES: Final = {
    "code": N_("The code"),
    "address": N_("The address"),
    "route": N_("The route"),
    "sequence": N_("The place on the route"),
    "phases": N_("The number of phases"),
    "connected_w": N_("The connected load"),
    "connected_va": N_("The connected load"),
    "transformer_code": N_("The transformer"),
    "access_note": N_("The access note"),
}
_PROBLEMS: Final = {
    "too_short": N_("is missing."),
    "too_long": N_("is longer than can be kept."),
    "greater_than_equal": N_("is too small."),
    "less_than_equal": N_("is too large."),
}


@dataclass(frozen=True, slots=True)
class Places:
    """Details of places of supply and what was read there; changes are audited."""

    database: DatabaseService

    def change(
        self,
        *,
        seen: ServicePoint,
        body: Mapping[str, Any],
        principal: Principal,
        moved_on: date | None = None,
        today: date | None = None,
    ) -> None:
        """Store what the form says; bills keep the address that they were issued for.

        `seen` is the place as the form began with it. A place that was moved to another transformer
        is so from the local date `moved_on` on, at the latest `today`; without it, what was said of
        its transformer is corrected. For who may change it. Raises InvalidPlace, NotFound,
        IllegalChange when somebody else changed it meanwhile, the code is taken, or it was moved
        on a later day already.
        """
        require(principal, Permission.CHANGE_SUPPLY)
        entry = _parsed(body)
        if moved_on is not None:
            if entry.transformer_code == seen.transformer_code:
                raise InvalidPlace(
                    sentence("Name the transformer that it was moved to, or leave the day empty.")
                )
            if today is not None and moved_on > today:
                raise InvalidPlace(sentence("The day on which it was moved is still to come."))
        self.database.change_service_point(
            actor=principal.user,
            service_point_id=seen.id,
            seen=seen.model_dump(include=set(PlaceEntry.model_fields)),
            details=entry.model_dump(),
            moved_on=moved_on,
        )

    def reads(
        self, *, place: Place, principal: Principal, after: Key | None = None, limit: int = 40
    ) -> PlaceReadPage:
        """A page of what was read at a place and used between the reads, over all its meters.

        Raises NotAllowed, and DatabaseRefused for a key that is none.
        """
        require(principal, Permission.VIEW_CUSTOMERS)
        rows = self.database.reads_at_place(place.point.id, after=after, limit=limit)
        return page_of(place, rows, limit=limit)

    def read_by(self, meter_id: str, kind: MeterKind, *, principal: Principal) -> None:
        """Have a meter read by a person ("manual") or collected from the head end ("smart").

        Its readings and bills go on as they are. Takes a principal who may. Raises NotFound, and
        IllegalChange for a meter that is installed nowhere.
        """
        require(principal, Permission.CHANGE_SUPPLY)
        self.database.set_meter_kind(actor=principal.user, meter_id=meter_id, kind=kind)


def _parsed(body: Mapping[str, Any]) -> PlaceEntry:
    try:
        return PlaceEntry.model_validate(dict(body))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        given = first.get("ctx", {}).get("error")
        known = _PROBLEMS.get(first["type"].removeprefix("string_"))
        why: str = sentence(known) if known else sentence("is not right.")
        if known is None and isinstance(given, ValueError):
            why = sentence_of(given)
        raise InvalidPlace(
            sentence("{place} {why}", place=sentence(_NAMES.get(name, name)), why=why)
        ) from None
