"""A meter with more registers than the total, over HTTP."""

import pytest
from flask.testing import FlaskClient

from tests.integration.api.talk import READING, answer_of, error_of
from tests.integration.metered import Metered
from tests.integration.utility import Utility

HTTP = dict[str, str]


@pytest.fixture(scope="module")
def metered(utility: Utility) -> Metered:
    made = Metered(utility)
    for serial in ("H1", "H2"):
        made.add_meter(serial, "peak=400 off_peak=600")
    return made


def test_registers_are_sent_billed_and_answered(
    metered: Metered, client: FlaskClient, engineer: HTTP
) -> None:
    body = {"meter_serial": "H1", "reading_kwh": "1100", "read_at": metered.utility.now.isoformat()}
    registers = {"peak": "430", "off_peak": 670}
    found = answer_of(
        client.post(READING, json=body | {"registers": registers}, headers=engineer), 201
    )
    assert found["reading"]["registers"] == {"peak": "430", "off_peak": "670"}
    assert found["bill"]["total"] == "550.00"
    again = client.post(READING, json=body | {"registers": registers}, headers=engineer)
    assert answer_of(again, 200)["reading"]["id"] == found["reading"]["id"]


@pytest.mark.parametrize(
    ("registers", "why"),
    [
        ({"peak": "431"}, "Say what the register off_peak of meter H2 shows."),
        ({"peak": "431", "off_peak": "670", "x": 1}, "Meter H2 has no register x"),
        ({"peak": "431", "off_peak": None}, "The register off_peak must be a number"),
        ({"peak": "431", "off_peak": "1000000"}, "the register off_peak must be below 100000 kWh"),
        ({"peak": "431", "off_peak": {"a": 1}}, "The register off_peak must be a number"),
        ({"a b": 1}, "'a b' is no name of a register"),
        ({"Peak": 1, "peak": 1}, "The register peak is named twice."),
        ([], "registers must name what each register shows"),
        (None, "registers must name what each register shows"),
        ({f"r{n}": 1 for n in range(1000)}, "at most 40 further registers"),
    ],
)
def test_registers_that_are_none_are_refused_by_name(
    metered: Metered, client: FlaskClient, engineer: HTTP, registers: object, why: str
) -> None:
    body = {"meter_serial": "H2", "reading_kwh": "1101", "read_at": metered.utility.now.isoformat()}
    answer = client.post(READING, json=body | {"registers": registers}, headers=engineer)
    assert why in error_of(answer, 422)
