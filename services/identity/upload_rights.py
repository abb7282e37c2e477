"""Visits that may upload a file, because a page offered it to somebody who is signed in."""

import threading
from collections import OrderedDict
from typing import Final

_MOST_VISITS: Final = 1_000


class UploadRights:
    """Visits whose page offers an upload, each with the token of whoever is signed in there.

    They live in this process's memory; of very many, the latest count. May be used by many threads.
    """

    def __init__(self) -> None:
        self._tokens: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def allow(self, visit: str, token: str) -> None:
        """Let the visit (Streamlit's id of it) upload for as long as its token holds."""
        with self._lock:
            self._tokens[visit] = token
            self._tokens.move_to_end(visit)
            if len(self._tokens) > _MOST_VISITS:
                self._tokens.popitem(last=False)

    def token_of(self, visit: str) -> str | None:
        """The token under which a visit may upload, if it may."""
        return self._tokens.get(visit)
