"""A person publishes a version of a tariff, and asks first what it would have changed."""

from datetime import date

from services.database.service import DatabaseService
from services.identity.auth import Principal, Role, require
from services.importing.rows import derived_id
from services.records.tariffs import TariffSummary
from services.tariff_publishing.bill_impact import BillImpact
from services.tariffs import Tariff

BILLS_AT_ONCE = 5000


def publish(database: DatabaseService, *, tariff: Tariff, principal: Principal) -> bool:
    """Make a version of a tariff hold from its effective date; False when it does already.

    Its ids are those that an import of it would have. Raises NotAllowed, and IllegalChange with
    the reason why the version may not be added.
    """
    require(principal, Role.ADMIN)
    return database.publish_tariff(
        actor=principal.user,
        version_id=derived_id("tariff", tariff.code, tariff.effective_from.isoformat()),
        tariff_id=derived_id("tariff", tariff.code),
        tariff=tariff,
    )


def bill_impact(
    database: DatabaseService, *, tariff: Tariff, of: TariffSummary, month: date
) -> BillImpact:
    """The issued bills of a month that the tariff `of` made, priced again under `tariff`."""
    found = BillImpact(tariff, database.published_versions(code=of.code))
    bills = database.billed_uses(tariff_id=of.id, month=month, limit=BILLS_AT_ONCE)
    while bills:
        found.add(bills)
        if len(bills) < BILLS_AT_ONCE:
            break
        bills = database.billed_uses(
            tariff_id=of.id, month=month, after=bills[-1], limit=BILLS_AT_ONCE
        )
    return found
