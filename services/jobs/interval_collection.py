"""The daily collection of interval series from a Green Button Connect server, page by page.

What was published since the last run that left nothing out comes again each day, of 31 days at
most; an interval that is known already changes nothing.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from services.importing.meter_files.green_button import GreenButtonReader
from services.importing.meter_files.interval_source import IntervalSource
from services.importing.source import UnreadableFile
from services.integrations.failures import FinalFailure, TemporaryFailure
from services.integrations.green_button_connect import GreenButtonConnect
from services.jobs.runs import JobContext, JobFailed
from services.languages.sentence import sentence, sentence_of
from services.records.jobs import SetAside

BATCH: Final = 500
NOT_CONFIGURED: Final = sentence("No Green Button server is configured.")
# Clocks differ, and what is published may be seen a little later.
_OVERLAP: Final = timedelta(days=1)
_MOST: Final = timedelta(days=31)


def run(context: JobContext) -> str:
    """Fetch the feed and store the days of known meters; the run's summary.

    Meters that are not known here, and pages that cannot be read, are set aside. Raises JobFailed
    where the feed cannot be had.
    """
    settings = context.services.current_settings.deployed
    if settings.green_button_url is None:
        return NOT_CONFIGURED
    token = settings.green_button_token
    server = GreenButtonConnect(
        settings.green_button_url,
        token.get_secret_value() if token else None,
        pause=context.stop.wait,
    )
    try:
        # Readings refer to entries that may stand on an earlier page.
        reader = GreenButtonReader(may_be_empty=True)
        for number, page in enumerate(server.pages(published_since=_since(context)), start=1):
            _take(context, page, number, reader)
    except (TemporaryFailure, FinalFailure) as error:
        raise JobFailed(sentence_of(error)) from None
    finally:
        server.close()
    return sentence("Days of intervals.")


def _since(context: JobContext) -> datetime | None:
    """From when on what was published is asked for; None asks for all there is."""
    last = context.patiently(
        lambda: context.services.database.last_done_run(job=context.run.job, complete=False)
    )
    complete = context.patiently(
        lambda: context.services.database.last_done_run(job=context.run.job, complete=True)
    )
    if last is None:
        return None
    latest = context.run.started_at - _MOST
    return max(latest, complete.started_at - _OVERLAP) if complete else latest


def _take(context: JobContext, page: bytes, number: int, reader: GreenButtonReader) -> None:
    """Store a page of the feed, or set it aside where it is not what it should be."""
    try:
        source = IntervalSource.of(
            page,
            "Green Button",
            zone=context.services.settings.timezone,
            now=context.clock(),
            reader=reader,
        )
        # The first walk finds what is wrong, so that none of the page is written.
        source.looked_through()
        days = source.days()
        while batch := list(islice(days, BATCH)):
            context.go_on()
            _store(context, batch)
    except UnreadableFile as error:
        reason = error.problem.message
        context.note(
            set_aside=[
                SetAside(
                    subject=sentence("Page {number} of the feed", number=number), reason=reason
                )
            ]
        )


def _store(context: JobContext, days: list[dict[str, Any]]) -> None:
    database = context.services.database
    unknown = set(_unknown(context, days))
    known = [day for day in days if day["meter_serial"] not in unknown]
    if known:
        # The import does not know of runs: an attempt that was taken over ends here.
        context.note()
        context.patiently(
            lambda: database.import_rows(
                what="intervals", actor=context.actor, rows=known, dry_run=False
            )
        )
    context.note(
        done=len(known),
        set_aside=[
            SetAside(
                subject=serial or "without a serial",
                reason=sentence(
                    "No meter has this serial, which the feed gives as the usage point's title."
                ),
            )
            for serial in sorted(unknown)
        ],
    )


def _unknown(context: JobContext, days: list[dict[str, Any]]) -> Iterator[str]:
    database = context.services.database
    serials = sorted({day["meter_serial"] for day in days})
    found = context.patiently(lambda: database.known_serials(serials=serials))
    return (serial for serial in serials if serial not in found)
