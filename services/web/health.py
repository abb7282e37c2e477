"""Is the system well? What of it runs, what is configured, and never a secret."""

from typing import Any

from services.database.transport import DatabaseError
from services.services import Services

NOT_CONFIGURED = "not configured"
CONFIGURED = "configured"


def health_of(services: Services, *, scheduler_running: bool) -> tuple[dict[str, Any], bool]:
    """{"status": "ok" | "degraded", "services": {name: state}}, and whether all is well.

    Without the database nothing works; a scheduler may well run in another process.
    """
    database = _database_state(services)
    states = {"database": database, "scheduler": "running" if scheduler_running else "stopped"}
    well = database == "ok"
    return {
        "status": "ok" if well else "degraded",
        "services": states | _outside(services),
    }, well


def _database_state(services: Services) -> str:
    try:
        services.database.ping()
    except DatabaseError:
        return "unreachable"
    return "ok"


def _outside(services: Services) -> dict[str, str]:
    settings = services.settings
    given = {
        "ai": settings.openai_api_key,
        "payments": settings.stripe_secret_key,
        "discord": settings.discord_webhook_url,
        "whatsapp": settings.whatsapp_token,
        "auth0": settings.auth0_domain,
    }
    states = {name: CONFIGURED if value else NOT_CONFIGURED for name, value in given.items()}
    return {"graph": services.graph.state} | states
