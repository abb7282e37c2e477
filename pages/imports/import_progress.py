"""Work on a thread of its own, which a click elsewhere does not stop half way; a bar shows it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import streamlit as st

from pages.languages.words import _, say
from services.importing.writing import Progress

T = TypeVar("T")

_LOOK_SECONDS = 0.3


def with_progress(work: Callable[[Progress], T], *, text: str) -> T:
    """The answer of `work`, with a bar while it goes on; raises what it raises.

    Streamlit ends a script whose visitor clicks elsewhere: the work is then finished all the same.
    """
    latest = (0, 0, "")

    def note(done: int, of: int, what: str) -> None:
        nonlocal latest
        latest = done, of, what

    place = st.empty()
    bar = place.progress(0.0, text=text)
    # Leaving the block waits for the work, also when the script is ended within it.
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work, note)
        while wait([future], timeout=_LOOK_SECONDS).not_done:
            done, of, what = latest
            if what:
                said = _("{what} {done}.", what=say(what), done=done)
                if of:
                    said = _("{what} {done} of {of}.", what=say(what), done=done, of=of)
                bar.progress(min(done / of, 1.0) if of else 0.0, text=said)
    place.empty()
    return future.result()
