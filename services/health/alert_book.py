"""The operations alerts as the office sees them."""

from dataclasses import dataclass

from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.records.jobs import OperationsAlert


@dataclass(frozen=True, slots=True)
class AlertBook:
    """What was and is wrong; raises NotAllowed for those who do not look after the system."""

    database: DatabaseService

    def latest(self, *, principal: Principal, limit: int = 10) -> list[OperationsAlert]:
        """The latest alerts, those that are not over first."""
        require(principal, Permission.VIEW_SYSTEM)
        found = self.database.operation_log.alerts(limit=limit)
        still = self.database.operation_log.alerts(open_only=True, limit=50)
        return [*still, *(alert for alert in found if alert.resolved_at is not None)]
