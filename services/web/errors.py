"""Every failure as a JSON answer of the HTTP API: a status, a code for programs, a sentence."""

import logging
from dataclasses import dataclass
from uuid import uuid4

from werkzeug.exceptions import HTTPException

from services.billing.chain_retry import MeterTooBusy
from services.database.errors import (
    IdempotencyKeyReused,
    IllegalChange,
    NotFound,
    ReadingConflict,
)
from services.database.transport import DatabaseRefused, DiskFull, TemporaryDatabaseError
from services.identity.auth import NotAllowed, NotSignedIn, SignInUnavailable
from services.messages.reports import ReportRefused
from services.metering.recent_use import UnableToCompareReads
from services.metering.register_arithmetic import ReadingTooLong
from services.payments.payment_received import SignatureRefused
from services.payments.stripe.events import NotAnEvent
from services.quantities.energy import InvalidEnergy
from services.readings.dial_photo import InvalidPhoto
from services.readings.submission import InvalidReading
from services.telemetry.context import current_ids
from services.web.body import UnusableBody

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5
OUR_FAULT = "Something went wrong on our side; nothing was lost."
TRY_AGAIN = "The database cannot be reached just now. Send the same again: it counts only once."

# The first that fits counts. All of these have a message for whoever sent the request.
_EXPECTED: tuple[tuple[type[Exception], int, str], ...] = (
    (UnusableBody, 400, "bad_request"),
    (SignatureRefused, 400, "bad_signature"),
    (ReportRefused, 403, "bad_signature"),
    (NotAnEvent, 400, "bad_request"),
    (NotSignedIn, 401, "not_signed_in"),
    (NotAllowed, 403, "not_allowed"),
    (SignInUnavailable, 503, "try_again"),
    (NotFound, 404, "not_found"),
    (ReadingConflict, 409, "reading_conflict"),
    (IdempotencyKeyReused, 409, "idempotency_key_reused"),
    (IllegalChange, 409, "illegal_change"),
    (InvalidReading, 422, "invalid_reading"),
    (InvalidPhoto, 422, "invalid_photo"),
    (ReadingTooLong, 422, "invalid_reading"),
    (InvalidEnergy, 422, "invalid_reading"),
    (UnableToCompareReads, 422, "invalid_reading"),
    (MeterTooBusy, 503, "try_again"),
)
_OF_THE_WEB = {
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take that method."),
    413: ("too_large", "The body is larger than 1 MB."),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What to answer when a request could not be served."""

    status: int
    code: str
    message: str
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def body(self) -> dict[str, dict[str, str]]:
        """The answer's JSON; the request's id leads to its lines in the log."""
        error = {"code": self.code, "message": self.message}
        request_id = current_ids().get("request_id")
        return {"error": error | ({"request_id": request_id} if request_id else {})}


def problem_of(error: Exception) -> Problem:
    """The answer to an error; an unexpected one is logged, and the answer says nothing of it."""
    if isinstance(error, HTTPException):
        return _of_the_web(error)
    if isinstance(error, DiskFull):
        return _with_headers(Problem(503, "disk_full", str(error)))
    if isinstance(error, TemporaryDatabaseError):
        return _with_headers(Problem(503, "try_again", TRY_AGAIN))
    for kind, status, code in _EXPECTED:
        if isinstance(error, kind):
            return _with_headers(Problem(status, code, str(error)))
    # Class 22 is Postgres's "this value cannot be read", such as a NUL in an account number.
    if isinstance(error, DatabaseRefused) and error.code.startswith("22"):
        return Problem(400, "bad_request", "The request holds a value that cannot be used.")
    return _unexpected(error)


def _with_headers(problem: Problem) -> Problem:
    headers: tuple[tuple[str, str], ...] = ()
    if problem.status == 503:
        headers = (("Retry-After", str(RETRY_AFTER_SECONDS)),)
    if problem.status == 401:
        headers = (("WWW-Authenticate", 'Bearer realm="electricity-billing"'),)
    return Problem(problem.status, problem.code, problem.message, headers)


def _of_the_web(error: HTTPException) -> Problem:
    status = error.code if error.code in _OF_THE_WEB else 400
    default = ("bad_request", "The request cannot be read.")
    code, message = _OF_THE_WEB.get(status or 400, default)
    kept = [(k, v) for k, v in error.get_headers() if k in {"Allow", "Retry-After"}]
    return Problem(status or 400, code, message, tuple(kept))


def _unexpected(error: Exception) -> Problem:
    incident = str(uuid4())
    log.error("Request failed, incident %s", incident, exc_info=error)
    return Problem(500, "internal", OUR_FAULT, (("X-Incident-Id", incident),))
