"""The API over a utility on a real database, one for each file of tests."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import create_app
from services.identity.permissions import Role
from tests.integration.api.talk import READING, bearer
from tests.integration.utility import Utility, make_utility


@pytest.fixture(scope="module")
def utility(
    fresh_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Utility]:
    made = make_utility(fresh_database(), tmp_path_factory.mktemp("data"))
    yield made
    made.services.close()


@pytest.fixture
def client(utility: Utility) -> FlaskClient:
    return create_app(utility.services, clock=lambda: utility.now).test_client()


@pytest.fixture
def meter(utility: Utility) -> str:
    """The serial of a meter that stood at 1000 kWh 31 days ago."""
    serial = f"M-{uuid4().hex[:8]}"
    utility.add_meter(serial)
    return serial


@pytest.fixture
def engineer(utility: Utility) -> dict[str, str]:
    """The headers of an engineer."""
    return bearer(utility, Role.ENGINEER)


@pytest.fixture
def submit(
    client: FlaskClient, engineer: dict[str, str], meter: str, utility: Utility
) -> Callable[..., TestResponse]:
    """Submit a reading of `meter`, with other fields if given."""

    def post(reading_kwh: object = "1117", **fields: object) -> TestResponse:
        body = {"meter_serial": meter, "reading_kwh": reading_kwh}
        body |= {"read_at": utility.now.isoformat(), **fields}
        return client.post(READING, json=body, headers=engineer)

    return post


@pytest.fixture
def submit_text(
    client: FlaskClient, engineer: dict[str, str], meter: str, utility: Utility
) -> Callable[[str], TestResponse]:
    """Submit a reading of `meter` whose reading_kwh is this very piece of JSON."""
    start = f'{{"meter_serial": "{meter}", "read_at": "{utility.now.isoformat()}", "reading_kwh": '

    def post(reading_kwh: str) -> TestResponse:
        body = f"{start}{reading_kwh}}}"
        return client.post(READING, data=body, content_type="application/json", headers=engineer)

    return post
