"""The reason that whoever decides or corrects must give."""

from services.languages.sentence import sentence


class ReasonMissing(ValueError):
    """Whoever decides or corrects says why."""


def given_reason(reason: str) -> str:
    """The reason without spaces around it. Raises ReasonMissing."""
    if not reason.strip():
        raise ReasonMissing(sentence("Say why: the reason is kept with the reading."))
    return reason.strip()
