"""What real meters used a month, in Wh, from published load profiles.

`make bench` downloads them: a year of 15-minute profiles of simbench (ODbL; German homes, shops,
farms, heat pumps and chargers) and the sample meters of opendsm (Apache-2.0; one to three years).
With them a year of the Ausgrid solar home data (CC BY 4.0).
"""

import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pandas as pd

from services.settings import PROJECT_FOLDER

DOWNLOADED: Final = PROJECT_FOLDER / ".tools" / "profiles"
AUSGRID: Final = Path(__file__).parent / "ausgrid_home_months.csv"
MONTHS: Final = 24
# Sums of whole grids are no meters, and profiles that only exist to test exports none either.
_NO_METERS: Final = ("lv_", "mv_", "hv_", "HSexp")
# Charging points: their use follows no season and no habit.
CHARGERS: Final = ("HLS_", "APLS_")
_LARGE: Final = ("G", "L", *CHARGERS)
# The second year of a profile with one: the same months, each somewhat more or less.
_YEAR_SPREAD: Final = 0.08

Uses = dict[str, list[int]]


class NoProfiles(Exception):
    """The profiles are not downloaded; the message says how."""


def monthly_uses(seed: int) -> Uses:
    """Wh of each of 24 months by meter; `seed` scales the profiles and makes second years."""
    rng = random.Random(seed)
    found = {}
    for name, months in _all_months():
        scaled = [int(wh * 1000) for wh in _scaled(name, months, rng)]
        if len(scaled) < MONTHS:
            first = scaled[:12]
            scaled = first + [int(wh * rng.lognormvariate(0, _YEAR_SPREAD)) for wh in first]
        found[name] = scaled[:MONTHS]
    return found


_read: dict[str, list[float]] = {}


def _all_months() -> list[tuple[str, list[float]]]:
    if not _read:
        _read.update(_simbench())
        _read.update(_opendsm())
        _read.update(_ausgrid())
    return sorted(_read.items())


def _simbench() -> Iterator[tuple[str, list[float]]]:
    with zipfile.ZipFile(_wheel("simbench")) as wheel:
        name = "simbench/networks/1-complete_data-mixed-all-0-sw/LoadProfile.csv"
        with wheel.open(name) as file:
            table = pd.read_csv(file, sep=";")
    times = pd.to_datetime(table.pop("time"), format="%d.%m.%Y %H:%M")
    for column in table.columns:
        if column.endswith("_pload") and not column.startswith(_NO_METERS):
            power = pd.Series(table[column].clip(lower=0).to_numpy(), index=times)
            if power.sum() > 0:
                yield column.removesuffix("_pload"), _by_month(power / 4)


def _opendsm() -> Iterator[tuple[str, list[float]]]:
    with zipfile.ZipFile(_wheel("opendsm")) as wheel:
        for name in wheel.namelist():
            if "samples/" in name and "electricity" in name and "hourly" in name:
                with wheel.open(name) as file:
                    table = pd.read_csv(file, compression="gzip")
                times = pd.to_datetime(table["start"], utc=True).dt.tz_localize(None)
                use = pd.Series(table["value"].to_numpy(), index=times)
                yield Path(name).name.removesuffix(".csv.gz"), _by_month(use)


def _ausgrid() -> Iterator[tuple[str, list[float]]]:
    yield "ausgrid", list(pd.read_csv(AUSGRID, comment="#")["kwh"])


def _by_month(use: "pd.Series[float]") -> list[float]:
    """kWh of whole months."""
    grouped = use.resample("MS")
    days = use.resample("D").count().resample("MS").count()
    return [kwh for kwh, n in zip(grouped.sum(), days, strict=True) if n >= 28]


def _scaled(name: str, months: list[float], rng: random.Random) -> list[float]:
    """Profiles of simbench have no size; a home's use or a shop's is drawn for them."""
    if "hourly" in name or name == "ausgrid":
        return months
    year = rng.uniform(5_000, 60_000) if name.startswith(_LARGE) else rng.uniform(1_500, 6_000)
    return [kwh * year / sum(months[:12]) for kwh in months]


def _wheel(package: str) -> Path:
    found = sorted(DOWNLOADED.glob(f"{package}-*.whl"))
    if not found:
        raise NoProfiles(f"There is no {package} in {DOWNLOADED}: make bench downloads it.")
    return found[-1]
