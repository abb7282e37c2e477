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

from services.integrations.failures import FinalFailure, TemporaryFailure
from services.telemetry.outside_calls import HEAD_END, outside_calls

log = logging.getLogger(__name__)

TIMEOUT_SECONDS: Final = 10.0
LARGEST_ANSWER: Final = 64 * 1024
MOST_TRIES: Final = 3
PAUSE_SECONDS: Final = 0.5
_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}
_FIELDS: Final = ("serial", "reading_kwh", "read_at")
_OPTIONS: Final = ("registers",)


class HeadEndAway(TemporaryFailure):
    """The head-end did not answer as it should; trying later may help."""

    kind = "no_answer"


class HeadEndRefused(FinalFailure):
    """The head-end will not give this reading however often it is asked."""

    kind = "rejected"


class HeadEnd:
    """A client of `GET <url>/meters/<serial>/reading`; its methods may be called by many threads.

    `token` is sent as a bearer token; `pause` waits some seconds between two tries.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._pause = pause
        self._session = requests.Session()
        # A proxy of the environment cannot reach this machine's own loopback.
        self._session.trust_env = urlsplit(self._url).hostname not in _LOOPBACK
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Without an encoding, 64 kB on the wire are 64 kB in memory.
        self._session.headers.update({"Accept": "application/json", "Accept-Encoding": "identity"})

    def close(self) -> None:
        """Give back the connections."""
        self._session.close()

    def read(self, serial: str) -> Mapping[str, Any]:
        """The answer for one meter: {serial, reading_kwh, read_at, registers?}.

        Numbers are int or Decimal.

        Connection errors, 429 and 5xx are tried three times in all. Raises HeadEndAway (a
        TemporaryFailure) or HeadEndRefused (a FinalFailure) with a sentence for an administrator.
        """
        if not serial.strip("."):
            raise HeadEndRefused(f"The serial {serial!r} cannot stand in a web address.")
        for tried in range(1, MOST_TRIES):
            try:
                return self._read_once(serial, tried)
            except _Again as error:
                log.info("meter %s: %s; trying again", serial, error)
            self._pause(PAUSE_SECONDS * 2**tried * random.uniform(0.5, 1.0))  # noqa: S311
        try:
            return self._read_once(serial, MOST_TRIES)
        except _Again as error:
            raise HeadEndAway(str(error)) from None

    def _read_once(self, serial: str, attempt: int) -> Mapping[str, Any]:
        with outside_calls.watched(HEAD_END, attempt=attempt):
            return self._ask(serial)

    def _ask(self, serial: str) -> Mapping[str, Any]:
        try:
            with self._session.get(
                f"{self._url}/meters/{quote(serial, safe='')}/reading",
                auth=self._authorize,
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
                stream=True,
            ) as response:
                _check_status(response.status_code, serial)
                return _checked(_parse(_body(response)), serial)
        except (requests.ReadTimeout, ReadTimeoutError):
            raise HeadEndAway("The head-end did not answer in time.") from None
        except (requests.ConnectionError, requests.Timeout, HTTPError):
            raise _Again("The head-end cannot be reached.") from None
        except requests.RequestException as error:
            raise HeadEndRefused(f"The head-end cannot be asked: {error}") from None

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        # As `auth`, not as a header, which a .netrc would take the place of.
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Again(Exception):
    """This try failed in a way that the next may not."""

    kind = "unreachable"


def _check_status(status: int, serial: str) -> None:
    if status == 200:
        return
    if status == 429 or status >= 500:
        raise _Again(f"The head-end answered {status}.")
    if status == 404:
        raise HeadEndRefused(f"The head-end does not know meter {serial}.")
    if status in {401, 403}:
        raise HeadEndRefused(
            f"The head-end does not let us in ({status}): check METER_HEADEND_TOKEN."
        )
    if 300 <= status < 400:
        raise HeadEndRefused(
            f"The head-end sends us elsewhere ({status}): check METER_HEADEND_URL."
        )
    raise HeadEndRefused(f"The head-end answered {status}.")


def _body(response: requests.Response) -> bytes:
    """The whole answer; raises HeadEndRefused beyond 64 kB, HeadEndAway when it is too slow."""
    body = bytearray()
    deadline = time.monotonic() + TIMEOUT_SECONDS
    # read1 gives what is there: a byte every few seconds would never run into a read's timeout.
    while chunk := response.raw.read1(8192, decode_content=False):
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise HeadEndRefused("The head-end's answer is longer than 64 kB.")
        if time.monotonic() > deadline:
            raise HeadEndAway("The head-end did not answer in time.")
    return bytes(body)


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, ArithmeticError, RecursionError):
        raise HeadEndRefused("The head-end's answer is not JSON.") from None


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _checked(answer: Any, serial: str) -> Mapping[str, Any]:
    if not isinstance(answer, dict) or not all(name in answer for name in _FIELDS):
        raise HeadEndRefused(f"The head-end's answer lacks one of {', '.join(_FIELDS)}.")
    if answer["serial"] != serial:
        other = str(answer["serial"])[:60]
        raise HeadEndRefused(f"Asked for meter {serial}, the head-end answered for {other!r}.")
    return {name: answer[name] for name in (*_FIELDS, *_OPTIONS) if name in answer}
