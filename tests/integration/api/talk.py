"""How the API's tests speak with it: headers of a role, and answers that are always safe JSON."""

from typing import Any

from werkzeug.test import TestResponse

from services.identity.permissions import Role
from tests.integration.utility import Utility

READING = "/webhook/meter-reading"
# Not a new one each time: it names test cases, which all workers must name alike.
UNKNOWN_ID = "0b8e2f6c-5a3d-4c1e-9f70-2d6a4b8c1e35"
SAFE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def bearer(utility: Utility, role: Role) -> dict[str, str]:
    """The headers of somebody with this role."""
    token = utility.services.tokens.issue(f"{role}-1", role, utility.now)
    return {"Authorization": f"Bearer {token}"}


def answer_of(response: TestResponse, status: int) -> Any:
    """The JSON of an answer that has this status; whatever it is, it is safe JSON."""
    assert response.status_code == status, response.text
    assert response.mimetype == "application/json"
    assert {name: response.headers[name] for name in SAFE} == SAFE
    return response.get_json()


def error_of(response: TestResponse, status: int) -> str:
    """The message of an error, which has a code and no traceback."""
    found = answer_of(response, status)
    assert set(found) == {"error"}
    assert set(found["error"]) == {"code", "message", "request_id"}
    assert found["error"]["request_id"] == response.headers["X-Request-Id"]
    assert "Traceback" not in response.text
    return str(found["error"]["message"])
