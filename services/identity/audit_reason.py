"""The reason that whoever decides or corrects must give."""


class ReasonMissing(ValueError):
    """Whoever decides on a reading says why."""


def _given(reason: str) -> str:
    if not reason.strip():
        raise ReasonMissing("Say why: the reason is kept with the reading.")
    return reason.strip()
