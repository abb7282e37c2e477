"""Eight processes at one due instant, half of them killed: as if one had done it undisturbed."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from services.quantities.period import start_of_day
from services.settings import PROJECT_FOLDER
from tests.integration.job_tools import at_once, installed, tick_and_wait
from tests.integration.runs.eight_processes import NO_BACKUP, messenger
from tests.integration.utility import ACTOR, KSEB, Utility, make_utility
from tests.servers import Databases

OCT_1 = date(2026, 10, 1)
# A Sunday and a 1st at 11:00 in Kolkata: each of the jobs is due.
DUE = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
READ, UNREAD, DUE_SOON, LATE = 200, 20, 15, 15


def connect(utility: Utility, serials: list[str], *, opened_on: date) -> None:
    """Many meters in two calls."""
    opened_at = start_of_day(opened_on, utility.services.settings.timezone).isoformat()
    rows: dict[str, list[dict[str, Any]]] = {"customers": [], "meters": []}
    for number, serial in enumerate(serials, start=1):
        account = {"row": number, "id": str(uuid4()), "account_no": f"A-{serial}"}
        rows["customers"].append(
            account | {"name": serial, "email": "", "phone": "", "address": "1 Hill Road"}
        )
        meter = account | {"id": str(uuid4()), "opening_reading_id": str(uuid4())}
        meter |= {"serial": serial, "tariff_code": KSEB["code"], "kind": "manual", "dials": 5}
        meter |= {"multiplier_milli": 1000, "opening_wh": 1_000_000}
        rows["meters"].append(meter | {"opened_on": opened_on.isoformat(), "opened_at": opened_at})
    for what, of_kind in rows.items():
        answer = utility.services.database.import_rows(
            what=what, actor=ACTOR, rows=of_kind, dry_run=False
        )
        assert not answer.errors, answer


def read(utility: Utility, dsn: str, serials: list[str]) -> None:
    """An actual read of each meter at the end of October, as an import would store it."""
    at = DUE - timedelta(hours=20)
    with psycopg.connect(dsn) as connection:
        connection.execute("select set_config('billing.actor', %s, true)", [ACTOR])
        connection.execute(
            "insert into public.readings (id, meter_id, read_at, read_on, register_wh, source,"
            " status, submitted_by, validation)"
            " select gen_random_uuid(), m.id, %s, %s, 1000000 + 1000 * (50 + 7 * n), 'smart',"
            " 'accepted', %s, '{}' from unnest(%s::text[]) with ordinality s(serial, n)"
            " join public.meters m on m.serial = s.serial",
            [at, at.astimezone(utility.services.settings.timezone).date(), ACTOR, serials],
        )


@pytest.fixture(scope="module")
def template(fresh_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A utility before its 1st: bills to make, to remind of and to mark."""
    dsn = fresh_database()
    folder = tmp_path_factory.mktemp("before")
    utility = make_utility(dsn, folder, now=DUE, step_handlers=messenger(folder / "notes"))
    installed(dsn, DUE - timedelta(hours=11))
    serials = [f"R{n:03}" for n in range(READ)]
    soon, late = [f"S{n:02}" for n in range(DUE_SOON)], [f"L{n:02}" for n in range(LATE)]
    unread = [f"U{n:02}" for n in range(UNREAD)]
    connect(utility, [*serials, *unread], opened_on=OCT_1)
    for those, days in ((soon, 13), (late, 25)):
        utility.now = DUE - timedelta(days=days)
        connect(utility, those, opened_on=utility.today - timedelta(days=31))
        for serial in those:
            utility.submit(serial, 1117)
    read(utility, dsn, serials)
    utility.services.close()
    return dsn


def content(utility: Utility) -> dict[str, Any]:
    """What there must be in the end, whoever made it."""
    bills = utility.services.database.bills(page_size=1000).items
    runs = utility.services.database.job_runs(page_size=100).items
    return {
        "bills": sorted(
            (
                b.meter_serial,
                b.period_start,
                b.period_end,
                b.total_minor,
                b.issued_on,
                b.due_date,
                b.status,
                b.id,
            )
            for b in bills
        ),
        "numbers": sorted(b.number for b in bills if b.number is not None),
        "runs": sorted(
            (r.job, r.scheduled_on, r.status, r.done_count, r.failed_count)
            for r in runs
            if r.job not in {"backup", "retention"}
        ),
        "jobs": sorted((r.job, r.scheduled_on, r.status) for r in runs),
        "set aside": sorted(
            (row.subject, row.code)
            for row in utility.services.database.set_aside(
                job="monthly_bills", scheduled_on=DUE.date()
            )
        ),
    }


def messages(folder: Path) -> Counter[str]:
    return Counter((folder / "notes").read_text().splitlines())


def undisturbed(dsn: str, folder: Path) -> dict[str, Any]:
    """What one process leaves that does all by itself."""
    folder.mkdir()
    utility = make_utility(dsn, folder, now=DUE, step_handlers=messenger(folder / "notes"))
    utility.services.backups.off = NO_BACKUP
    scheduler = at_once(utility.services, DUE)
    tick_and_wait(scheduler)
    scheduler.sweep()
    found = content(utility)
    utility.services.close()
    return found


def disturbed(dsn: str, folder: Path, seed: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """What eight leave, what was done to them, and what they said."""
    folder.mkdir()
    command = [sys.executable, "-m", "tests.integration.runs.eight_processes"]
    command += [dsn, str(folder), DUE.isoformat(), seed]
    answer = subprocess.run(
        command, cwd=PROJECT_FOLDER, check=True, capture_output=True, timeout=120, text=True
    )
    utility = make_utility(dsn, folder, now=DUE)
    found = content(utility)
    utility.services.close()
    return found, json.loads(answer.stdout), answer.stderr[-3000:]


@pytest.mark.slow
def test_eight_processes_half_of_them_killed_do_what_one_does(
    template: str, databases: Databases, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = os.environ.get("SEED") or str(uuid4())
    with capsys.disabled():
        sys.stdout.write(f" [SEED={seed}] ")
    one, eight = tmp_path / "one", tmp_path / "eight"
    expected = undisturbed(databases.copy(template), one)
    found, told, log = disturbed(databases.copy(template), eight, seed)
    with capsys.disabled():
        sys.stdout.write(f"[{told['killed']} killed, {told['seconds']} s] ")
    assert told["over"], log
    assert found == expected
    assert len(found["bills"]) == READ + DUE_SOON + LATE
    numbers = found["numbers"]
    assert numbers == list(range(1, len(numbers) + 1))
    said, wanted = messages(eight), messages(one)
    assert set(wanted.values()) == {1}
    assert Counter(line.split()[1] for line in wanted) == {
        "bill_issued": READ,
        "payment_reminder": DUE_SOON,
        "overdue_notice": LATE,
    }
    assert set(said) == set(wanted)
    # A process that was killed between sending and saying so leaves one that is sent again.
    assert sum(said.values()) - len(wanted) <= told["killed"]
