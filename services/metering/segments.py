"""Which meters measured what a bill runs over: one, or several where meters were exchanged."""

from collections.abc import Sequence

from services.records.readings import Installation, MeterConstants, Read, Segment


def segments_between(
    *,
    opening: Read,
    closing: Read,
    installations: Sequence[Installation],
    constants: MeterConstants,
) -> tuple[Segment, ...]:
    """The segments from one read at a service point to a later one, in order of time.

    Where the opening read is that at which a meter was removed, the first segment begins at the
    opening read of the next one. Without `installations` it is one meter, with these `constants`.
    """
    found = [
        Segment(
            constants=one.constants,
            opening=opening if one.measured(opening) else one.opening,
            closing=closing if one.closing is None or one.measured(closing) else one.closing,
        )
        for one in installations
        if one.opening.read_at < closing.read_at
        and (one.closing is None or one.closing.read_at > opening.read_at)
    ]
    return tuple(found) or (Segment(constants, opening, closing),)
