"""How many monthly bills a second are priced: from registers, from hourly data, and by PySAM.

Registers are measured in a process of their own, whose largest memory is printed. PySAM (NREL's
model, in C++) prices the same two rates and loads; it is the same arithmetic, and the totals are
compared to the cent. `bench/urdb_rates.json`: rates of the open data set ratebook (CC0).
"""

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from services.quantities.period import Period, next_month
from services.rating import (
    Series,
    TimeAxis,
    UsageBatch,
    rate_many,
    usage_from_series,
)
from services.settings import PROJECT_FOLDER
from services.tariff_publishing.price_load import tariff_of_rate
from services.tariffs import Tariff, day_number, parse_tariff

ROUNDS = 5
METERS = 1_000_000
SERIES = 1_000
HOURS = 8760
PYSAM_METERS = 10
MONTHS = 12
RATES = Path(__file__).with_name("urdb_rates.json")
TIERS = PROJECT_FOLDER / "examples" / "tariffs" / "kseb-lt1a.json"
MEGABYTE = 1024 if sys.platform != "darwin" else 1024 * 1024  # ru_maxrss is KiB, or bytes


def main() -> None:
    """Print a line for each way, medians of five rounds."""
    print(f"monthly bills a second, medians of {ROUNDS} rounds of one run:", flush=True)
    alone = [sys.executable, "-m", "bench.rating", "registers"]
    subprocess.run(alone, check=True, cwd=PROJECT_FOLDER)
    hourly()


def registers() -> None:
    """Tiers from two reads of a register, for a million meters at once."""
    tariff = parse_tariff(json.loads(TIERS.read_text()))
    random = np.random.default_rng(7)
    opening = random.integers(0, 10**8, METERS)
    closing = (opening + random.integers(0, 600_000, METERS)) % 10**8
    multiplier = np.full(METERS, 1000)
    start, end = (np.full(METERS, day_number(date(2026, month, 1))) for month in (3, 4))

    def price() -> int:
        # As consumption_wh of services.metering.register_arithmetic, for columns.
        wh = ((closing - opening) % 10**8 * multiplier + 500) // 1000
        batch = UsageBatch(start=start, end=end, wh=wh)
        return int(rate_many(tariff=tariff, batch=batch).total_minor.sum())

    speed = statistics.median(METERS / seconds_of(price) for _ in range(ROUNDS))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE
    print(f"{'tiers from registers':40}{speed:>12,.0f}", end="")
    print(f"   {METERS:,} meters, at most {memory:,.0f} MB of memory", flush=True)


def hourly() -> None:
    """Tiers and time of use from a year of hourly data, ours beside PySAM's round by round."""
    random = np.random.default_rng(7)
    by_hour = 300 + 900 * np.sin(np.arange(HOURS) % 24 * np.pi / 24) ** 2
    wh = (by_hour * random.uniform(0.2, 2.0, (SERIES, HOURS))).astype(np.int64)
    for label, rate in json.loads(RATES.read_text()).items():
        tariff, _ = tariff_of_rate(json.dumps(rate))
        pysam = pysam_of(rate)
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(SERIES * MONTHS / seconds_of(lambda t=tariff: totals(t, wh)))
            if pysam:
                few = wh[:PYSAM_METERS] / 1000
                seconds = seconds_of(lambda p=pysam, f=few: list(map(p, f)))
                theirs.append(PYSAM_METERS * MONTHS / seconds)
        print(f"{f'tiers and time of use, {label}':40}{statistics.median(ours):>12,.0f}", end="")
        print(f"   {SERIES:,} meters with a year of hours each", flush=True)
        if pysam:
            compare(totals(tariff, wh[:PYSAM_METERS]), list(map(pysam, wh[:PYSAM_METERS] / 1000)))
            ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
            print(f"{'the same by PySAM':40}{statistics.median(theirs):>12,.0f}", end="")
            print(
                f"   {PYSAM_METERS} of the meters, to the cent; ours is {ratio:,.0f} times as fast"
            )


def totals(tariff: Tariff, wh: Any) -> Any:
    """Cents of each meter (row) in each month."""
    axis = TimeAxis(datetime(2018, 1, 1, tzinfo=UTC), 60, HOURS, ZoneInfo("UTC"))
    firsts = [date(2018, month + 1, 1) for month in range(MONTHS)]
    periods = [Period(first, next_month(first)) for first in firsts]
    usage = usage_from_series(series=Series(axis, wh), tariff=tariff, periods=periods)
    return rate_many(tariff=tariff, batch=usage).total_minor.reshape(-1, MONTHS)


def pysam_of(rate: dict[str, Any]) -> Callable[[Any], Sequence[float]] | None:
    """What gives PySAM's twelve monthly totals of a load in kWh; None where it is not installed."""
    try:
        from PySAM import Utilityrate5, UtilityRateTools  # noqa: PLC0415
    except ImportError:
        print("PySAM is not installed: pip install -r requirements-bench.txt.")
        return None
    model = Utilityrate5.new()
    # The helper changes what it is given.
    rates = UtilityRateTools.URDBv8_to_ElectricityRates(json.loads(json.dumps(rate)))
    model.ElectricityRates.assign(rates)
    model.ElectricityRates.rate_escalation = [0]
    model.ElectricityRates.ur_metering_option = 0
    model.Lifetime.analysis_period = 1
    model.Lifetime.system_use_lifetime_output = 0
    model.Lifetime.inflation_rate = 0
    model.SystemOutput.gen = [0] * HOURS
    model.SystemOutput.degradation = [0]

    def monthly(kwh: Any) -> Sequence[float]:
        model.Load.load = kwh.tolist()
        model.execute(0)
        bills: Sequence[float] = model.Outputs.utility_bill_wo_sys_ym[1]
        return bills

    return monthly


def compare(cents: Any, dollars: Sequence[Sequence[float]]) -> None:
    """Both must have priced the same."""
    apart = float(np.abs(np.asarray(dollars) * 100 - cents).max())
    assert apart <= 1, f"{apart} cents apart"


def seconds_of(work: Callable[[], object]) -> float:
    """How long it takes once."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    registers() if "registers" in sys.argv[1:] else main()
