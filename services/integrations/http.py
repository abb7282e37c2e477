"""Requests to services outside: a time limit, no redirects, JSON answers, three ways to fail."""

import json
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.auth import HTTPBasicAuth
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError, NewConnectionError

from services.integrations.failures import FinalFailure, TemporaryFailure
from services.telemetry.outside_calls import OutcomeNoted, outside_calls

TIMEOUT_SECONDS: Final = 10.0
LARGEST_ANSWER: Final = 64 * 1024
_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}
_NOT_SENT: Final = (NewConnectionError, ConnectTimeoutError)

# Its debug log has the path of every request, and a Discord webhook's path is a secret.
logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)


class ServiceUnavailable(TemporaryFailure):
    """The service did not do it this time; `retry_after_seconds` is the pause it asked for."""

    kind = "unreachable"

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


def pause_after(error: Exception, *, at_least: int) -> int:
    """After how many seconds to try again: not before the pause that was asked for is over."""
    asked = error.retry_after_seconds if isinstance(error, ServiceUnavailable) else None
    return max(at_least, math.ceil(asked or 0.0))


class RequestRejected(FinalFailure):
    """The service will not do it however often it is asked."""

    kind = "rejected"


class OutcomeUnknown(Exception):
    """The request left and no readable answer came: it may or may not have been carried out."""

    kind = "no_answer"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered; `body` is parsed JSON, or None when it is not JSON."""

    status: int
    body: Any
    headers: Mapping[str, str]

    def field(self, *names: str | int) -> Any:
        """A value inside the body, by keys and positions; None where there is none."""
        value = self.body
        for name in names:
            try:
                value = value[name]
            except (KeyError, IndexError, TypeError):
                return None
        return value


def post_json(
    url: str,
    *,
    body: Mapping[str, Any],
    service: str,
    token: str | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
    counted_as: str | None = None,
) -> Answer:
    """Send `body` once, with `token` as a bearer token; the answer, whatever its status.

    `service` is the name that people know it by, `counted_as` that in figures where it is another.
    Raises ServiceUnavailable when the request
    never left, OutcomeUnknown when it left and no whole answer came. No message ever has the
    address in it.
    """
    with outside_calls.watched(counted_as or service) as call:
        answer = _ask(url, service=service, token=token, seconds=timeout_seconds, body=dict(body))
        return _noted(call, answer)


def post_form(
    url: str,
    *,
    form: Mapping[str, str],
    service: str,
    token: str | None = None,
    login: tuple[str, str] | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Answer:
    """As `post_json`, with the fields of a form, and a name and password where it wants them."""
    with outside_calls.watched(service) as call:
        answer = _ask(
            url, service=service, token=token, login=login, seconds=timeout_seconds, form=dict(form)
        )
        return _noted(call, answer)


def post_file(
    url: str,
    *,
    fields: Mapping[str, str],
    file: tuple[str, bytes, str],
    service: str,
    token: str | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Answer:
    """As `post_json`, with fields and a file (multipart): its name, content and media type."""
    with outside_calls.watched(service) as call:
        answer = _ask(
            url,
            service=service,
            token=token,
            seconds=timeout_seconds,
            form=dict(fields),
            files={"file": file},
        )
        return _noted(call, answer)


def get_json(
    url: str,
    *,
    service: str,
    token: str | None = None,
    login: tuple[str, str] | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Answer:
    """Ask once, changing nothing; raises ServiceUnavailable when no whole answer came."""
    try:
        with outside_calls.watched(service) as call:
            answer = _ask(url, service=service, token=token, login=login, seconds=timeout_seconds)
            return _noted(call, answer)
    except OutcomeUnknown as error:
        raise ServiceUnavailable(str(error)) from None


def _noted(call: OutcomeNoted, answer: Answer) -> Answer:
    if answer.status >= 400:
        call.failed(f"http_{answer.status}")
    return answer


def _ask(
    url: str,
    *,
    service: str,
    token: str | None,
    seconds: float,
    login: tuple[str, str] | None = None,
    body: dict[str, Any] | None = None,
    form: dict[str, str] | None = None,
    files: dict[str, tuple[str, bytes, str]] | None = None,
) -> Answer:
    deadline = time.monotonic() + seconds
    try:
        # A connection of its own: on a kept one that just closed, nobody knows what was sent.
        with (
            _session(url) as session,
            session.request(
                "GET" if body is None and form is None else "POST",
                url,
                json=body,
                data=form,
                files=files,
                auth=HTTPBasicAuth(*login) if login else _Bearer(token),
                timeout=seconds,
                allow_redirects=False,
                stream=True,
            ) as response,
        ):
            text = _body(response, service, deadline)
            return Answer(response.status_code, _parsed(text), response.headers)
    except (requests.Timeout, requests.ConnectionError, HTTPError) as error:
        raise _failure(error, service) from None
    except requests.RequestException:
        raise RequestRejected(f"{service} cannot be asked: its address is not usable.") from None


class _Bearer(requests.auth.AuthBase):
    """As `auth`, not as a header, which a .netrc would take the place of."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _session(url: str) -> requests.Session:
    session = requests.Session()
    # A proxy of the environment cannot reach this machine's own loopback.
    session.trust_env = urlsplit(url).hostname not in _LOOPBACK
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # Without an encoding, 64 kB on the wire are 64 kB in memory.
    session.headers.update({"Accept": "application/json", "Accept-Encoding": "identity"})
    return session


def _body(response: requests.Response, service: str, deadline: float) -> bytes:
    body = bytearray()
    # read1 gives what is there: a byte every few seconds would never run into a read's timeout.
    while chunk := response.raw.read1(8192, decode_content=False):
        body += chunk
        if len(body) > LARGEST_ANSWER or time.monotonic() > deadline:
            raise OutcomeUnknown(f"{service} did not end its answer.")
    return bytes(body)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _failure(error: Exception, service: str) -> Exception:
    """Which of the two it is: nothing left this machine, or nobody knows what became of it."""
    if isinstance(error, requests.exceptions.SSLError):
        return ServiceUnavailable(f"{service} could not prove who it is (certificate).")
    inner = error.args[0] if error.args else None
    cause = inner.reason if isinstance(inner, MaxRetryError) else inner
    if isinstance(cause, _NOT_SENT) or isinstance(error, requests.exceptions.ProxyError):
        return ServiceUnavailable(f"{service} cannot be reached.")
    if isinstance(error, requests.Timeout):
        return OutcomeUnknown(f"{service} did not answer in time.")
    return OutcomeUnknown(f"{service} broke the connection off.")
