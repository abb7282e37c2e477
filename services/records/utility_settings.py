"""What the Settings page keeps, as it travels from the database: records."""

import datetime as dt
from typing import Any

from pydantic import Field

from services.records.base import Record


class StoredSettings(Record):
    """A version of the settings by name, as JSON has them; 0 is before anything was set."""

    version: int = 0
    settings: dict[str, Any] = Field(default_factory=dict)


class SettingsChange(Record):
    """Who changed settings when (UTC): those that changed, before and after.

    One that is missing before, or null after, has its default there.
    """

    id: int
    at: dt.datetime
    actor: str
    before: dict[str, Any]
    after: dict[str, Any]


class FirstSteps(Record):
    """What of a new utility there is already; readings are those beside opening reads."""

    tariffs: bool
    customers: bool
    meters: bool
    readings: bool
