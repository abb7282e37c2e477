"""A published version of a tariff was wrong: another takes its place, and its bills are reissued.

Each meter is a transaction of its own. Whoever comes again sees what is left: a bill is on the list
as long as a version that was corrected priced it.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from services.approvals.asking import pass_or_ask
from services.corrections.affected_bills import CannotRebill
from services.corrections.plan import Plan, WrongVersion, correction_id_of
from services.corrections.rebilling import NotAcknowledged, Rebilling
from services.database.service import DatabaseService
from services.database.transport import DatabaseRefused
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import sentence
from services.records.corrections import BillsToCorrect, Correction, MeterToCorrect
from services.records.drafts import ApprovalRequest
from services.records.tariffs import PublishedVersion, TariffVersion
from services.tariffs import Tariff, parse_tariff

log = logging.getLogger(__name__)

_NAMESPACE: Final = uuid5(NAMESPACE_URL, "electricity-billing/tariff-correction")


@dataclass(frozen=True, slots=True)
class MeterOutcome:
    """What became of a meter: the correction, or the reason why there is none."""

    meter: MeterToCorrect
    correction: Correction | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class MeterPreview:
    """What correcting the bills of a meter would do, or why that cannot be."""

    meter: MeterToCorrect
    plan: Plan | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class TariffCorrection:
    """Corrects versions of tariffs, and then the bills of one meter after the other."""

    database: DatabaseService
    rebilling: Rebilling

    def correct(
        self, *, version: PublishedVersion, tariff: Tariff, reason: str, principal: Principal
    ) -> str:
        """Let `tariff` take the place of a version, on its date; the new version's id.

        No bill changes by that. Raises NotAllowed, ReasonMissing, CannotRebill when it is not the
        same tariff from the same date, IllegalChange when the version was corrected already.
        """
        require(principal, Permission.VOID_BILLS)
        if not reason.strip():
            raise ReasonMissing(sentence("Say why: the reason is kept with the version."))
        replacement = replacement_version(version, tariff)
        pass_or_ask(
            self.database,
            "tariff_correction",
            action_id=replacement.id,
            payload={
                "version_id": version.id,
                "code": version.code,
                "tariff": tariff.to_json(),
                "reason": reason,
            },
            summary=sentence(
                "Correct tariff {tariff} from {day}",
                tariff=version.code,
                day=version.effective_from,
            ),
            reason=reason.strip(),
            principal=principal,
        )
        self.database.correct_tariff(
            actor=principal.user,
            new_id=replacement.id,
            version_id=version.id,
            tariff=tariff,
            reason=reason.strip(),
        )
        return replacement.id

    def correct_approved(
        self, request: ApprovalRequest, principal: Principal, now: datetime
    ) -> str:
        """Do an approved correction of a version; raises as `correct` does."""
        require(principal, Permission.VOID_BILLS)
        del now
        said = request.payload
        versions = self.database.published_versions(code=said["code"])
        version = next((one for one in versions if one.id == said["version_id"]), None)
        if version is None:
            raise CannotRebill(
                sentence("This version is not there any more, or was corrected already.")
            )
        tariff = parse_tariff(said["tariff"])
        return self.correct(
            version=version, tariff=tariff, reason=said["reason"], principal=principal
        )

    def preview(
        self,
        meters: Sequence[MeterToCorrect],
        *,
        now: datetime,
        replacement: TariffVersion | None = None,
        instead_of: str | None = None,
    ) -> list[MeterPreview]:
        """Some meters' bills before and after; with `replacement` before a version is corrected."""
        found = []
        for meter in meters:
            wrong = WrongVersion(meter.agreement_id, replacement, instead_of)
            try:
                found.append(MeterPreview(meter, self.rebilling.plan(wrong, now=now)))
            except CannotRebill as error:
                found.append(MeterPreview(meter, None, str(error)))
        return found

    def priced_by(self, *, version_id: str, limit: int, principal: Principal) -> BillsToCorrect:
        """The bills that a version priced, with `limit` of their meters; raises NotAllowed."""
        require(principal, Permission.VIEW_TARIFFS)
        return self.database.bills_to_correct(version_id=version_id, limit=limit)

    def left(
        self,
        *,
        tariff_id: str,
        after: MeterToCorrect | None = None,
        limit: int,
        principal: Principal,
    ) -> BillsToCorrect:
        """What corrected versions of a tariff priced and is not reissued yet; raises NotAllowed."""
        require(principal, Permission.VIEW_TARIFFS)
        return self.database.bills_to_correct(tariff_id=tariff_id, after=after, limit=limit)

    def rebill(
        self,
        meter: MeterToCorrect,
        *,
        reason: str,
        acknowledged: bool,
        principal: Principal,
        now: datetime,
    ) -> MeterOutcome:
        """Reissue the bills of one meter; where that cannot be, it stays on the list.

        Raises NotAllowed, ReasonMissing, and TemporaryDatabaseError.
        """
        require(principal, Permission.VOID_BILLS)
        try:
            plan = self.rebilling.plan(WrongVersion(meter.agreement_id), now=now)
            done = self.rebilling.execute_plan(
                plan,
                correction_id=correction_id_of(plan),
                reason=reason,
                acknowledged=acknowledged,
                principal=principal,
                now=now,
            )
        except (CannotRebill, NotAcknowledged) as error:
            return MeterOutcome(meter, None, str(error))
        except DatabaseRefused as error:
            log.warning("bills of meter %s were not reissued: %s", meter.serial, error)
            return MeterOutcome(meter, None, error.message)
        return MeterOutcome(meter, done)


def replacement_version(version: PublishedVersion, tariff: Tariff) -> TariffVersion:
    """The version that `tariff` would be in its place; raises CannotRebill where it cannot be."""
    same = (version.code, version.currency, version.effective_from)
    if (tariff.code, tariff.currency, tariff.effective_from) != same:
        raise CannotRebill(
            sentence(
                "A correction keeps the code ({code}), the currency ({currency}) and "
                "the date ({day}) of the version that it corrects.",
                code=version.code,
                currency=version.currency,
                day=str(version.effective_from),
            )
        )
    definition = tariff.to_json()
    said = json.dumps(definition, sort_keys=True)
    return TariffVersion(
        id=str(uuid5(_NAMESPACE, f"{version.id}/{said}")),
        tariff_id=version.tariff_id,
        code=version.code,
        name=version.name,
        currency=version.currency,
        effective_from=version.effective_from,
        definition=definition,
    )
