"""The smart meters' head-end over HTTP: what a meter's register shows now."""

import json
import logging
import random
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import quote, urlsplit

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from services.integrations.deadline import Deadline
from services.integrations.failures import FinalFailure, TemporaryFailure
from services.integrations.time_limit import LimitedAdapter, time_limits
from services.telemetry.outside_calls import HEAD_END, outside_calls

log = logging.getLogger(__name__)

# Of one try, and of all tries for one meter with the pauses between them.
TIMEOUT_SECONDS: Final = 10.0
CALL_SECONDS: Final = 20.0
LARGEST_ANSWER: Final = 64 * 1024
MOST_TRIES: Final = 3
PAUSE_SECONDS: Final = 0.5
_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}
_FIELDS: Final = ("serial", "reading_kwh", "read_at")
_OPTIONS: Final = ("registers", "unit")
_NOT_IN_TIME: Final = "The head-end did not answer in time."


class HeadEndAway(TemporaryFailure):
    """The head-end did not answer as it should; trying later may help."""

    kind = "no_answer"


class HeadEndRefused(FinalFailure):
    """The head-end will not give this reading however often it is asked."""

    kind = "rejected"


class HeadEndClosed(HeadEndRefused):
    """The head-end lets nobody in, whichever meter is asked for."""


class HeadEndLied(HeadEndRefused):
    """What the head-end answered cannot be what it was asked for."""

    kind = "unusable_answer"


class HeadEnd:
    """A client of `GET <url>/meters/<serial>/reading`; its methods may be called by many threads.

    `token` is sent as a bearer token; `pause` waits some seconds between two tries; `threads` are
    how many connections are kept.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        pause: Callable[[float], object] = time.sleep,
        threads: int = 1,
    ) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._pause = pause
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, LimitedAdapter(threads=threads))
        # A proxy of the environment cannot reach this machine's own loopback.
        self._session.trust_env = urlsplit(self._url).hostname not in _LOOPBACK
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Without an encoding, 64 kB on the wire are 64 kB in memory.
        self._session.headers.update({"Accept": "application/json", "Accept-Encoding": "identity"})

    def close(self) -> None:
        """Give back the connections."""
        self._session.close()

    def read(self, serial: str) -> Mapping[str, Any]:
        """The answer for one meter: {serial, reading_kwh, read_at, registers?, unit?}.

        Numbers are int or Decimal.

        Connection errors, 429 and 5xx are tried three times in all, within 20 seconds. Raises
        HeadEndAway (a TemporaryFailure), or HeadEndRefused (a FinalFailure), of which HeadEndLied
        says that there was an answer, with a sentence for an administrator.
        """
        if not serial.strip("."):
            raise HeadEndRefused(f"The serial {serial!r} cannot stand in a web address.")
        deadline = Deadline.after(CALL_SECONDS)
        for tried in range(1, MOST_TRIES):
            try:
                return self._read_once(serial, tried, deadline)
            except _Again as error:
                log.info("meter %s: %s; trying again", serial, error)
                pause = PAUSE_SECONDS * 2**tried * random.uniform(0.5, 1.0)  # noqa: S311
                if deadline.left() <= pause:
                    raise HeadEndAway(str(error)) from None
            self._pause(pause)
        try:
            return self._read_once(serial, MOST_TRIES, deadline)
        except _Again as error:
            raise HeadEndAway(str(error)) from None

    def _read_once(self, serial: str, attempt: int, deadline: Deadline) -> Mapping[str, Any]:
        seconds = min(TIMEOUT_SECONDS, deadline.left())
        with outside_calls.watched(HEAD_END, attempt=attempt):
            return self._ask(serial, seconds)

    def _ask(self, serial: str, seconds: float) -> Mapping[str, Any]:
        with time_limits.within(seconds) as call:
            try:
                return self._answered(serial, seconds)
            except Exception as error:
                # What a connection says that was cut, such as that its headers are over, is no
                # answer.
                raise HeadEndAway(_NOT_IN_TIME) if call.cut else _meant(error) from None

    def _answered(self, serial: str, seconds: float) -> Mapping[str, Any]:
        with self._session.get(
            f"{self._url}/meters/{quote(serial, safe='')}/reading",
            auth=self._authorize,
            timeout=seconds,
            allow_redirects=False,
            stream=True,
        ) as response:
            _check_status(response.status_code, serial)
            return _checked(_parse(_body(response, seconds)), serial)

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        # As `auth`, not as a header, which a .netrc would take the place of.
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Again(Exception):
    """This try failed in a way that the next may not."""

    kind = "unreachable"


def _meant(error: Exception) -> Exception:
    """What an error of a call is for whoever asked; one of ours stays as it is."""
    if isinstance(error, requests.ReadTimeout | ReadTimeoutError):
        return HeadEndAway(_NOT_IN_TIME)
    if isinstance(error, requests.exceptions.SSLError):
        return HeadEndAway("The head-end could not prove who it is (certificate).")
    if isinstance(error, requests.ConnectionError | requests.Timeout | HTTPError):
        return _Again("The head-end cannot be reached.")
    if isinstance(error, requests.RequestException):
        return HeadEndRefused(f"The head-end cannot be asked: {error}")
    return _Again("The head-end cannot be reached.") if isinstance(error, OSError) else error


def _check_status(status: int, serial: str) -> None:
    if status == 200:
        return
    if status == 429 or status >= 500:
        raise _Again(f"The head-end answered {status}.")
    if status == 404:
        raise HeadEndRefused(f"The head-end does not know meter {serial}.")
    if status in {401, 403}:
        raise HeadEndClosed(
            f"The head-end does not let us in ({status}): check METER_HEADEND_TOKEN."
        )
    if 300 <= status < 400:
        raise HeadEndClosed(f"The head-end sends us elsewhere ({status}): check METER_HEADEND_URL.")
    raise HeadEndRefused(f"The head-end answered {status}.")


def _body(response: requests.Response, seconds: float) -> bytes:
    """The whole answer; raises HeadEndLied beyond 64 kB, HeadEndAway when it is too slow."""
    body = bytearray()
    deadline = time.monotonic() + seconds
    # read1 gives what is there: a byte every few seconds would never run into a read's timeout.
    while chunk := response.raw.read1(8192, decode_content=False):
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise HeadEndLied("The head-end's answer is longer than 64 kB.")
        if time.monotonic() > deadline:
            raise HeadEndAway(_NOT_IN_TIME)
    return bytes(body)


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, ArithmeticError, RecursionError):
        raise HeadEndLied("The head-end's answer is not JSON.") from None


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _checked(answer: Any, serial: str) -> Mapping[str, Any]:
    if not isinstance(answer, dict) or not all(name in answer for name in _FIELDS):
        raise HeadEndLied(f"The head-end's answer lacks one of {', '.join(_FIELDS)}.")
    if answer["serial"] != serial:
        other = str(answer["serial"])[:60]
        raise HeadEndLied(f"Asked for meter {serial}, the head-end answered for {other!r}.")
    return {name: answer[name] for name in (*_FIELDS, *_OPTIONS) if name in answer}
