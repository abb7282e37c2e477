"""A utility whose desk is advised by AI, and the answers that AI gives in these tests."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from services.ai.service import AiService, open_ai
from services.ai.usage import AiUsage
from services.database.queries.ai_usage import AiCallLog
from services.database.transports.postgres import DirectTransport
from services.settings import load_settings
from tests.integration.utility import Utility, make_utility

PRICES = {"AI_PRICE_INPUT": "0.40", "AI_PRICE_OUTPUT": "1.60"}
KEY = "sk-test-of-the-story"

# The lines of 117 kWh in the tariff of the tests.
LINES = {
    "energy": "424.10", "duty": "42.41", "meter_rent": "6.00", "rent_tax": "1.08",
    "rent_cess": "0.06", "fuel_surcharge": "11.70", "fixed": "55.00",
}  # fmt: skip


def verdict(word: str = "plausible", *, confidence: int = 90, reason: str = "It fits.") -> str:
    """AI's answer about a reading."""
    return json.dumps({"verdict": word, "confidence": confidence, "reasons": [reason]})


def bill(total: str = "540.35", **lines: str) -> str:
    """AI's answer about the bill of 117 kWh, by default the right one."""
    listed = [{"code": code, "amount": amount} for code, amount in (LINES | lines).items()]
    return json.dumps({"lines": listed, "total": total})


class Advised:
    """The utility, its AI, and the books of AI."""

    def __init__(self, dsn: str, folder: Path, url: str, **settings: str) -> None:
        made = make_utility(dsn, folder)
        self.transport = DirectTransport(dsn)
        self.books = AiCallLog(self.transport)
        given = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": url} | settings
        ai = open_ai(load_settings(given), self.transport)
        assert ai is not None
        self.ai: AiService = ai
        assessor = replace(made.services.assessor, ai=ai)
        story = replace(made.services.reading_to_bill, assessor=assessor)
        review = replace(made.services.reading_review, assessor=assessor)
        services = replace(
            made.services,
            assessor=assessor,
            reading_to_bill=story,
            reading_review=review,
            ai_usage=AiUsage(
                made.services.database, ai.asker.budget, made.services.settings.timezone
            ),
        )
        self.utility = Utility(services, made.now)

    def calls(self) -> list[dict[str, Any]]:
        """The recorded calls, oldest first."""
        return self.transport.select("ai_calls", order=["created_at.asc"]).rows

    def close(self) -> None:
        """Give back every connection."""
        self.ai.close()
        self.transport.close()
        self.utility.services.close()
