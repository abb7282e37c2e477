"""A file that is made when somebody asks for it, with a sentence where it cannot be made."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Literal

import streamlit as st

from pages.languages.words import _
from pages.shared.session import while_signed_in
from services.languages.sentence import N_

log = logging.getLogger(__name__)

# Streamlit gives a file up after as long.
_MOST_SECONDS: Final = 180
_LOOK_SECONDS: Final = 0.2
_FAILED: Final = N_(
    "The file could not be made. Press the button again; where that does not help, ask for fewer "
    "rows, or look at the page Services."
)
# What Streamlit says of it is the same in English for everything, and is gone after five seconds.
_QUIET: Final = "<style>[data-testid=stDownloadButtonError] {display: none}</style>"


class _Making:
    """How often a file was asked for and came to an end, on whichever thread, and how the last."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.asked = self.ended = 0
        self.failed = False

    def ask(self) -> None:
        self.asked += 1

    def end(self, *, failed: bool) -> None:
        with self._changed:
            self.failed = failed
            self.ended += 1
            self._changed.notify_all()

    def is_over(self, seconds: float) -> bool:
        """Whether it has ended, after waiting for it that long."""
        with self._changed:
            return self._changed.wait_for(lambda: self.ended >= self.asked, timeout=seconds)


@st.fragment
def download_button(
    label: str,
    make: Callable[[], bytes],
    *,
    file_name: str,
    mime: str,
    key: str,
    icon: str | None = None,
    width: Literal["content", "stretch"] = "content",
) -> None:
    """A button for a file that `make` makes, on another thread, when it is pressed.

    Where `make` raises, a sentence stands below the button until it is pressed again.
    """
    making: _Making = st.session_state.setdefault(f"making-{key}", _Making())
    st.html(_QUIET)
    st.download_button(
        label,
        data=_noting(while_signed_in(make), making, file_name),
        file_name=file_name,
        mime=mime,
        icon=icon,
        width=width,
        on_click=making.ask,
        key=key,
    )
    place = st.empty()
    give_up_at = time.monotonic() + _MOST_SECONDS
    while not making.is_over(_LOOK_SECONDS) and time.monotonic() < give_up_at:
        # Here a click elsewhere ends the wait.
        place.empty()
    if making.failed:
        place.error(_(_FAILED), icon=":material/error:")


def _noting(make: Callable[[], bytes], making: _Making, file_name: str) -> Callable[[], bytes]:
    def made() -> bytes:
        failed = True
        try:
            data = make()
            failed = False
        except Exception:
            log.exception("%s could not be made", file_name)
            raise
        finally:
            making.end(failed=failed)
        return data

    return made
