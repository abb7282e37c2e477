"""Which way the page runs, and in which language the browser reads it out."""

from typing import Final

import streamlit as st

from pages.languages.words import language

# What Streamlit sets to the left by name: the menu, its arrow, the text in fields and tables. A
# page that runs from left to right is left alone.
_MIRRORED: Final = """
[dir=rtl] .stApp, [dir=rtl] [data-testid=stSidebar] { direction: rtl; }
[dir=rtl] [data-testid=stSidebar] { right: 0; left: auto; }
[dir=rtl] [data-testid=stSidebar][data-collapsed=true]
{ transform: translateX(300px) !important; visibility: hidden; }
[dir=rtl] [data-testid=stSidebarNav] *, [dir=rtl] .stMarkdown, [dir=rtl] .stHeading,
[dir=rtl] [data-testid=stMetric], [dir=rtl] label, [dir=rtl] .stAlert, [dir=rtl] table th,
[dir=rtl] table td { text-align: start; }
[dir=rtl] [data-testid=stMarkdownContainer] ul, [dir=rtl] [data-testid=stMarkdownContainer] ol
{ padding-inline-start: 1.5rem; padding-inline-end: 0; margin-inline: 0; }
[dir=rtl] input, [dir=rtl] textarea { text-align: start; }
[dir=rtl] [data-testid=stCode], [dir=rtl] code, [dir=rtl] input[type=password],
[dir=rtl] [data-testid=stVegaLiteChart], [dir=rtl] [data-testid=stDataFrame] { direction: ltr; }
[dir=rtl] [data-testid=stIconMaterial][translate] { display: inline-flex; }
"""
_SCRIPT: Final = (
    "<script>document.documentElement.lang = '{tag}';"
    "document.documentElement.dir = '{direction}';</script>"
)


def show_direction() -> None:
    """Set the language and the direction of the whole page."""
    spoken = language()
    style = f"<style>{_MIRRORED}</style>" if spoken.is_right_to_left else ""
    # The tag is one of our own, so nothing in it can end the script.
    script = _SCRIPT.format(tag=spoken.tag, direction=spoken.direction)
    st.html(style + script, unsafe_allow_javascript=True, width="content")
