"""Whether AI can be reached, for the page that shows each system."""

from dataclasses import dataclass
from typing import Final

from services.ai.asking import ModelFault
from services.ai.service import AiService
from services.integrations.failures import FinalFailure, TemporaryFailure
from services.languages.sentence import N_, sentence

CHECK_SECONDS: Final = 10.0


@dataclass(frozen=True)
class AiCheck:
    """Asks AI for the list of its models, which costs nothing."""

    ai: AiService | None
    name: str = N_("AI")

    @property
    def configured(self) -> bool:
        """True with a key."""
        return self.ai is not None

    def check(self) -> str:
        """A sentence on its answer. Raises TemporaryFailure or FinalFailure."""
        if self.ai is None:
            raise FinalFailure(sentence("AI is not configured: OPENAI_API_KEY is empty."))
        model = self.ai.asker.model
        try:
            model.check(seconds=CHECK_SECONDS)
        except ModelFault as fault:
            passes = fault.again or fault.outcome == "timeout"
            raise (TemporaryFailure if passes else FinalFailure)(f"AI {fault}.") from None
        return sentence("AI answers; the model {model} is asked.", model=model.name)
