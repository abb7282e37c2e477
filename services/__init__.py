"""The billing system's business code: plain Python, free of Streamlit and of HTTP."""

from typing import Final

# The one place of the version; CHANGELOG.md says what each brings.
VERSION: Final = "0.1.0"
