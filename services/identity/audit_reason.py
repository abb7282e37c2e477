"""The reason that whoever decides or corrects must give."""


class ReasonMissing(ValueError):
    """Whoever decides or corrects says why."""


def given_reason(reason: str) -> str:
    """The reason without spaces around it. Raises ReasonMissing."""
    if not reason.strip():
        raise ReasonMissing("Say why: the reason is kept with the reading.")
    return reason.strip()
