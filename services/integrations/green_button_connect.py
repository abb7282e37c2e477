"""A Green Button Connect server (ESPI, NAESB REQ.21): a feed of intervals, page by page."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import urljoin, urlsplit
from xml.parsers.expat import ExpatError, ParserCreate

import requests
from urllib3.exceptions import HTTPError

from services.integrations.failures import FinalFailure, TemporaryFailure
from services.integrations.time_limit import LimitedAdapter, time_limits
from services.telemetry.outside_calls import GREEN_BUTTON, outside_calls

# A page may hold months of quarter hours of many meters.
TIMEOUT_SECONDS: Final = 60.0
LARGEST_PAGE: Final = 32_000_000
MOST_PAGES: Final = 1_000
MOST_TRIES: Final = 3
PAUSE_SECONDS: Final = 2.0
_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}
_LINK: Final = "http://www.w3.org/2005/Atom link"


class GreenButtonAway(TemporaryFailure):
    """The server did not answer as it should; trying later may help."""

    kind = "no_answer"


class GreenButtonRefused(FinalFailure):
    """The server will not give the feed however often it is asked."""

    kind = "rejected"


class GreenButtonConnect:
    """A client of one subscription's feed at `url`; `token` is sent as a bearer token."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._url = url
        self._token = token
        self._pause = pause
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, LimitedAdapter(threads=1))
        # A proxy of the environment cannot reach this machine's own loopback.
        self._session.trust_env = urlsplit(url).hostname not in _LOOPBACK
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Without an encoding, so many MB on the wire are so many in memory.
        self._session.headers.update(
            {"Accept": "application/atom+xml", "Accept-Encoding": "identity"}
        )

    def close(self) -> None:
        """Give back the connection."""
        self._session.close()

    def pages(self, *, published_since: datetime | None) -> Iterator[bytes]:
        """The feed's pages, of what was published since an instant (UTC), or of all there is.

        Raises GreenButtonAway or GreenButtonRefused with a sentence for an administrator.
        """
        since = f"{published_since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if published_since else ""
        url: str | None = self._url
        params = {"published-min": since} if since else {}
        for _ in range(MOST_PAGES):
            page = self._page(str(url), params)
            yield page
            url, params = self._next(page, str(url)), {}
            if url is None:
                return
        raise GreenButtonRefused(f"The Green Button feed has more than {MOST_PAGES} pages.")

    def _next(self, page: bytes, url: str) -> str | None:
        """The address of the next page, which must be of the same server."""
        link = next_link(page)
        if link is None:
            return None
        found = urljoin(url, link)
        if urlsplit(found)[:2] != urlsplit(self._url)[:2]:
            raise GreenButtonRefused("The Green Button feed goes on at another server.")
        return found

    def _page(self, url: str, params: dict[str, str]) -> bytes:
        for tried in range(1, MOST_TRIES):
            try:
                return self._asked(url, params, tried)
            except GreenButtonAway:
                self._pause(PAUSE_SECONDS * tried)
        return self._asked(url, params, MOST_TRIES)

    def _asked(self, url: str, params: dict[str, str], attempt: int) -> bytes:
        with (
            outside_calls.watched(GREEN_BUTTON, attempt=attempt),
            time_limits.within(TIMEOUT_SECONDS) as call,
        ):
            try:
                return self._answered(url, params)
            except (requests.RequestException, HTTPError, OSError):
                said = "did not answer in time" if call.cut else "cannot be reached"
                raise GreenButtonAway(f"The Green Button server {said}.") from None

    def _answered(self, url: str, params: dict[str, str]) -> bytes:
        with self._session.get(
            url,
            params=params,
            auth=self._authorize,
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
            stream=True,
        ) as response:
            status = response.status_code
            if status == 429 or status >= 500:
                raise GreenButtonAway(f"The Green Button server answered {status}.")
            if status in {401, 403}:
                raise GreenButtonRefused(
                    f"The Green Button server does not let us in ({status}): check "
                    "GREEN_BUTTON_TOKEN."
                )
            if status != 200:
                raise GreenButtonRefused(
                    f"The Green Button server answered {status}: check GREEN_BUTTON_URL."
                )
            page = bytearray()
            while chunk := response.raw.read1(1 << 16, decode_content=False):
                page += chunk
                if len(page) > LARGEST_PAGE:
                    raise GreenButtonRefused(
                        f"A page of the Green Button feed is over {LARGEST_PAGE // 1_000_000} MB."
                    )
            return bytes(page)

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        # As `auth`, not as a header, which a .netrc would take the place of.
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def next_link(page: bytes) -> str | None:
    """Where a feed says that it goes on; a document type is refused by who reads its entries."""
    found: list[str] = []
    depth = 0

    def begin(name: str, attributes: dict[str, Any]) -> None:
        nonlocal depth
        depth += 1
        if depth == 2 and name == _LINK and attributes.get("rel") == "next":
            found.append(str(attributes.get("href", "")))

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*_: object) -> None:
        raise GreenButtonRefused("The Green Button feed declares a document type: it is refused.")

    parser = ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(page, True)
    except (ExpatError, LookupError, ValueError):
        raise GreenButtonRefused("The Green Button server's answer is not XML.") from None
    return found[0] if found and found[0] else None
