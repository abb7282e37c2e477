"""Tariffs as people look at them and publish versions of them, and what a version would change."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from services.approvals.asking import ask_for_version
from services.database.errors import NotFound
from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.importing.rows import derived_id
from services.languages.sentence import N_
from services.records.corrections import TariffReach
from services.records.drafts import ApprovalRequest
from services.records.tariffs import (
    PublishedVersion,
    TariffSummary,
    TariffVersion,
    TariffWithVersions,
)
from services.tariff_publishing.bill_impact import BillImpact
from services.tariff_publishing.templates import Template, copied
from services.tariffs import Tariff, parse_tariff

BILLS_AT_ONCE: Final = 5000


@dataclass(frozen=True, slots=True)
class TariffPublishing:
    """Tariffs and their versions, for administrators: each method raises NotAllowed for others."""

    database: DatabaseService

    def tariffs(self, *, principal: Principal) -> list[TariffSummary]:
        """The tariffs there are (at most 1,000), by code."""
        require(principal, Permission.VIEW_TARIFFS)
        return self.database.tariffs()

    def tariff(self, *, code: str, principal: Principal) -> TariffWithVersions:
        """One tariff with its versions, the latest first; raises NotFound."""
        for one in self.tariffs(principal=principal):
            versions = self.database.published_versions(code=code) if one.code == code else []
            if versions:
                return TariffWithVersions(tariff=one, versions=tuple(versions))
        raise NotFound("EB404", N_("No such tariff."))

    def version(
        self, *, code: str, begins: str, principal: Principal
    ) -> tuple[TariffSummary, PublishedVersion]:
        """A tariff and its version from a date (ISO), or the latest where `begins` is empty.

        Raises NotFound.
        """
        for one in self.tariffs(principal=principal):
            for version in self.database.published_versions(code=code) if one.code == code else ():
                if version.effective_from.isoformat() == begins or not begins:
                    return one, version
        raise NotFound("EB404", N_("No such version of this tariff."))

    def versions(self, *, principal: Principal) -> list[TariffVersion]:
        """Every version of every tariff: by code, and of each tariff the latest first."""
        require(principal, Permission.VIEW_TARIFFS)
        return sorted(
            self.database.tariff_versions(),
            key=lambda version: (version.code, -version.effective_from.toordinal()),
        )

    def reach(self, *, version_id: str, principal: Principal) -> TariffReach:
        """What the bills add up to that a version priced; raises NotAllowed."""
        require(principal, Permission.VIEW_TARIFFS)
        return self.database.tariff_reach(version_id=version_id)

    def from_template(
        self, template: Template, *, currency: str, begins: date, principal: Principal
    ) -> dict[str, Any]:
        """The JSON of a new tariff as a template has it, under a code that is free."""
        taken = {one.code for one in self.tariffs(principal=principal)}
        return template.definition(currency=currency, begins=begins, taken=taken)

    def copy_of(self, *, code: str, begins: date, principal: Principal) -> dict[str, Any]:
        """The JSON of a new tariff that charges as another's latest version; raises NotFound."""
        _, version = self.version(code=code, begins="", principal=principal)
        taken = {one.code for one in self.tariffs(principal=principal)}
        return copied(version.tariff, begins=begins, taken=taken)

    def publish(self, *, tariff: Tariff, principal: Principal) -> bool:
        """Make a version of a tariff hold from its effective date; False when it does already.

        Its ids are those that an import of it would have. Raises IllegalChange with the reason
        why the version may not be added.
        """
        require(principal, Permission.PUBLISH_TARIFFS)
        version_id = derived_id("tariff", tariff.code, tariff.effective_from.isoformat())
        ask_for_version(self.database, version_id, tariff.to_json(), principal)
        return self.database.publish_tariff(
            actor=principal.user,
            version_id=version_id,
            tariff_id=derived_id("tariff", tariff.code),
            tariff=tariff,
        )

    def publish_approved(
        self, request: ApprovalRequest, principal: Principal, now: datetime
    ) -> bool:
        """Publish an approved version; raises as `publish` does."""
        require(principal, Permission.PUBLISH_TARIFFS)
        del now
        return self.publish(tariff=parse_tariff(request.payload["tariff"]), principal=principal)

    def impact(
        self, *, tariff: Tariff, of: TariffSummary, month: date, principal: Principal
    ) -> BillImpact:
        """The issued bills of a month that the tariff `of` made, priced again under `tariff`."""
        require(principal, Permission.VIEW_TARIFFS)
        found = BillImpact(tariff, self.database.published_versions(code=of.code))
        bills = self.database.billed_uses(tariff_id=of.id, month=month, limit=BILLS_AT_ONCE)
        while bills:
            found.add(bills)
            if len(bills) < BILLS_AT_ONCE:
                break
            bills = self.database.billed_uses(
                tariff_id=of.id, month=month, after=bills[-1], limit=BILLS_AT_ONCE
            )
        return found
