"""Is the system well? What of it runs, what is configured, and never a secret."""

from datetime import datetime
from typing import Any

from services import VERSION
from services.backups.check import backup_state
from services.container import Services
from services.database.transport import DatabaseError
from services.health.disk import Room

NOT_CONFIGURED = "not configured"
CONFIGURED = "configured"


def health_of(
    services: Services, *, now: datetime, scheduler_running: bool, jobs_held: bool = False
) -> tuple[dict[str, Any], bool]:
    """{"status": "ok" | "degraded", "services": {name: state}, …}, and whether it can serve.

    Without the database, or room on the disk, nothing is stored; a scheduler may well run in
    another process. Jobs that are held, because the clock is in doubt, and a backup that is late
    are degraded service, and requests are still served.
    """
    database = _database_state(services)
    scheduler = "running" if scheduler_running else "stopped"
    if scheduler_running and jobs_held:
        scheduler = "held: the clock is in doubt"
    states = {"database": database, "scheduler": scheduler}
    disk = services.disk.state() if services.disk is not None else None
    if disk is not None:
        states["disk"] = disk.word
    asked = services.database if database == "ok" else None
    states["https"] = services.https or "this machine only"
    states["backup"], backed_up = backup_state(services.backups, asked, now=now)
    serves = database == "ok" and (disk is None or disk.room is not Room.FULL)
    return {
        "status": "ok" if serves and backed_up and not jobs_held else "degraded",
        "version": VERSION,
        "schema_version": services.schema_version,
        "services": states | _outside(services),
    }, serves


def _database_state(services: Services) -> str:
    try:
        services.database.ping()
    except DatabaseError:
        return "unreachable"
    return "ok"


def _outside(services: Services) -> dict[str, str]:
    # Without a look at the database, which may be away.
    settings = services.current_settings.deployed
    given = {
        "ai": settings.openai_api_key,
        "payments": settings.stripe_secret_key,
        "discord": settings.discord_webhook_url,
        "whatsapp": settings.whatsapp_token,
        "email": settings.customer_email_from,
        "sms": settings.twilio_auth_token or settings.sms_gateway_url,
        "auth0": settings.auth0_domain,
        "openid": settings.oidc_issuer,
    }
    states = {name: CONFIGURED if value else NOT_CONFIGURED for name, value in given.items()}
    return {"graph": services.graph.state} | states
