"""A million intervals from NEM12 and CSV into the embedded database: how long, how much memory.

Run alone: `python -m bench.meter_files`; `make bench` prints it too.
"""

import random
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from bench.database import own_database
from bench.utility import AGENT, load_meters, serial_of
from services.database.service import DatabaseService
from services.importing import Importer

METERS = 171
DAYS = 366
HALF_HOURS = 48
_START = date(2025, 1, 1)
_NOW = datetime(2026, 2, 1, tzinfo=UTC)
_STATUS = Path("/proc/self/status")


def main() -> None:
    """Print the time and the growth of memory of files of 6 (100,000), 57 and 171 meters."""
    with own_database() as own:
        services = own.services()
        load_meters(services, meters=METERS, now=_NOW)
        for meters in (6, 57, METERS):
            _measure(services.database, own.folder, meters, "NEM12", _nem12(meters))
        # Other values than before, so that each day is written again.
        for meters in (6, 57, METERS):
            _measure(services.database, own.folder, meters, "CSV", _csv(meters))
        services.database.close()


def _measure(
    database: DatabaseService, folder: Path, meters: int, kind: str, lines: Iterator[str]
) -> None:
    path = folder / f"{kind}{meters}.csv"
    with path.open("w") as file:
        file.writelines(f"{line}\n" for line in lines)
    importer = Importer(database, ZoneInfo("Asia/Kolkata"))
    before, began = _peak_mb(), time.perf_counter()
    report = importer.run("intervals", path, actor=AGENT.user, now=_NOW)
    seconds, size = time.perf_counter() - began, path.stat().st_size / 1e6
    if not report.ok:
        raise RuntimeError(report.summary)
    print(
        f"{kind:5}, {meters * DAYS * HALF_HOURS:>9,} intervals ({size:.0f} MB): {seconds:5.1f} s, "
        f"memory {before:.0f} -> {_peak_mb():.0f} MB at its peak"
    )


def _nem12(meters: int) -> Iterator[str]:
    chance = random.Random(7)
    yield "100,NEM12,202602010000,MDA1,Ret1"
    for number in range(meters):
        yield f"200,NMI{number},E1,1,E1,N1,{serial_of(number)},kWh,30,"
        for day in range(DAYS):
            values = ",".join(f"{chance.randrange(3000) / 1000:.3f}" for _ in range(HALF_HOURS))
            yield f"300,{_START + timedelta(days=day):%Y%m%d},{values},A,,,,"
    yield "900"


def _csv(meters: int) -> Iterator[str]:
    chance = random.Random(8)
    yield "meter_serial,start,kwh"
    for number in range(meters):
        for day in range(DAYS):
            on = _START + timedelta(days=day)
            for slot in range(HALF_HOURS):
                clock = f"{slot // 2:02}:{slot % 2 * 30:02}"
                yield f"{serial_of(number)},{on}T{clock},{chance.randrange(3000) / 1000:.3f}"


def _peak_mb() -> float:
    """The most memory that this process has held, where the system says it."""
    if not _STATUS.exists():
        return 0
    line = next(one for one in _STATUS.read_text().splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) / 1000


if __name__ == "__main__":
    main()
