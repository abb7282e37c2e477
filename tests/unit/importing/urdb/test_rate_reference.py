"""Real US rates priced as NREL's PySAM prices them: 89 rates, three loads, twelve months."""

import json
import os
from decimal import Decimal
from fractions import Fraction

import pytest

from services.importing.load_file import read_load
from services.importing.tariff_files import json_of
from services.importing.urdb import rates_of
from services.settings import PROJECT_FOLDER
from services.tariff_publishing.price_load import price_load, tariff_of_rate

REFERENCE = PROJECT_FOLDER.parent / "shared" / "reference" / "urdb"
LOADS = ("residential", "commercial", "industrial")
A_CENT = Decimal("0.01")


@pytest.fixture
def expected() -> dict[str, list[Decimal]]:
    """PySAM's monthly totals by "rate|load"."""
    path = REFERENCE / "expected_monthly_totals.json"
    if not path.exists():
        reason = f"The reference data is not there: {REFERENCE}."
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    totals: dict[str, list[Decimal]] = json.loads(path.read_text(), parse_float=Decimal)
    return totals


def test_every_run_is_within_a_cent_a_month_of_pysam(
    expected: dict[str, list[Decimal]], capsys: pytest.CaptureFixture[str]
) -> None:
    loads = {name: read_load(REFERENCE / f"load_{name}.csv") for name in LOADS}
    text = (REFERENCE / "rates.json").read_text()
    found: dict[str, Decimal] = {}
    worst = Fraction(0)
    for label, rate in rates_of(json_of(text)):
        # As text: the rate is read with exact decimals, as from a file of its own.
        tariff, _ = tariff_of_rate(json.dumps(rate))
        for name, load in loads.items():
            run = f"{label}|{name}"
            months = price_load(tariff, load)
            unrounded = [sum(month.charges.values(), Fraction(0)) for month in months]
            apart = [abs(u - Fraction(e)) for u, e in zip(unrounded, expected[run], strict=True)]
            worst = max(worst, *apart)
            totals = [Decimal(month.total_minor).scaleb(-2) for month in months]
            found[run] = max(abs(t - e) for t, e in zip(totals, expected[run], strict=True))
    with capsys.disabled():
        said = f"{len(found)} runs of URDB rates, unrounded at most {float(worst):.5f} dollars"
        print(f"\n{said} a month from PySAM.")  # noqa: T201
    assert found.keys() == expected.keys()
    assert len(found) == 267
    assert {run: apart for run, apart in found.items() if apart > A_CENT} == {}
    assert worst < Fraction(1, 1000)
