"""An account's dunning is put on hold, and released; on hold, nobody presses the customer."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import N_, sentence
from services.quantities.period import local_date
from services.records.dunning.holds import HOLD_REASONS, DunningHold, HoldReason

LONGEST: Final = 400


class InvalidHold(ValueError):
    """What was typed is no hold; the sentence says what to change."""


@dataclass(frozen=True, slots=True)
class DunningHolds:
    """Holds of dunning, each with its reason. Ids are the form's: repeated, they change nothing.

    `now` is in UTC; `until` is the local date from which the ladder goes on, None for until
    somebody releases the account.
    """

    database: DatabaseService
    zone: ZoneInfo

    def hold(
        self,
        *,
        hold_id: str,
        customer_id: str,
        reason: HoldReason,
        note: str,
        principal: Principal,
        now: datetime,
        until: date | None = None,
    ) -> DunningHold:
        """Hold the dunning of an account: no message, no fee and no work order until it is over.

        Raises InvalidHold, NotFound, and IllegalChange for another hold under the id.
        """
        require(principal, Permission.HOLD_DUNNING)
        if reason not in HOLD_REASONS:
            raise InvalidHold(sentence("Say why the account is held."))
        today = local_date(now, self.zone)
        if until is not None and until <= today:
            raise InvalidHold(
                sentence(
                    "{day} is not after today: give the day from which the account is dunned "
                    "again, or none.",
                    day=until,
                )
            )
        return self.database.dunning.hold(
            actor=principal.user,
            hold_id=hold_id,
            customer_id=customer_id,
            reason=reason,
            note=_line(note, N_("what the hold is about")),
            since=today,
            until=until,
        )

    def release(self, *, hold_id: str, because: str, principal: Principal) -> DunningHold:
        """End a hold: the ladder goes on where it was. Raises InvalidHold, NotFound."""
        require(principal, Permission.HOLD_DUNNING)
        return self.database.dunning.release(
            actor=principal.user, hold_id=hold_id, because=_line(because, N_("why it is released"))
        )

    def of(self, *, customer_id: str, principal: Principal) -> list[DunningHold]:
        """The holds of an account, the last begun first, also those that are over."""
        require(principal, Permission.VIEW_DUNNING)
        return self.database.dunning.holds(customer_id=customer_id)


def _line(text: str, what: str) -> str:
    line = " ".join(text.split())
    if not line:
        raise InvalidHold(sentence("Say {what}: it is kept with the account.", what=sentence(what)))
    if len(line) > LONGEST or not line.isprintable():
        raise InvalidHold(
            sentence(
                "Say {what} in at most {number} printable characters.",
                what=sentence(what),
                number=LONGEST,
            )
        )
    return line
