"""The nightly backup: made, read back, copied elsewhere."""

import time
from typing import Final

from services.backups.backups import RETRY_SECONDS
from services.backups.copies import UnableToCopy
from services.backups.making import UnableToBackUp
from services.jobs.runs import JobContext, JobFailed
from services.languages.sentence import sentence, sentence_of
from services.quantities.counting import count
from services.quantities.written import file_size

# Well within the lease.
_NOTE_SECONDS: Final = 15.0


def run(context: JobContext) -> str:
    """Make tonight's backup; the run's summary. A copy that fails is tried again, and said."""
    backups = context.services.backups
    if backups.off:
        return backups.off
    noted = time.monotonic()

    def pulse() -> None:
        nonlocal noted
        context.go_on()
        if time.monotonic() - noted > _NOTE_SECONDS:
            context.note()
            noted = time.monotonic()

    try:
        # Once more at last: an attempt that was taken over leaves no file.
        made = backups.make(now=context.now, pulse=pulse, at_last=context.note)
    except UnableToBackUp as error:
        raise JobFailed(str(error)) from error
    context.note(done=1)
    said = f"{made.path.name}, {file_size(made.size)}, {count(made.manifest.rows, 'row')}."
    if backups.copies is None:
        return said
    try:
        backups.copy(now=context.clock())
    except UnableToCopy as error:
        minutes = count(round(RETRY_SECONDS / 60), "minute")
        again = sentence(
            "It could not be copied ({error}); that is tried again every {minutes}.",
            error=sentence_of(error),
            minutes=minutes,
        )
        return f"{said} {again}"
    copied = sentence("Copied to {place}.", place=backups.copies.name)
    return f"{said} {copied}"
