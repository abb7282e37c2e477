"""The demo utility: what the system shows before it holds anything of one's own."""

from services.demo.headend import DemoHeadEnd
from services.demo.load import (
    DemoLoaded,
    NotADemoDatabase,
    UnableToLoadDemo,
    load_demo_if_empty,
)

__all__ = [
    "DemoHeadEnd",
    "DemoLoaded",
    "NotADemoDatabase",
    "UnableToLoadDemo",
    "load_demo_if_empty",
]
