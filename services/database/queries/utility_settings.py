"""The utility's own settings, their logos, and what a new utility still lacks."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.database.queries.base import Json, Queries
from services.records.overview import FirstSteps, SettingsChange, StoredSettings


@dataclass(frozen=True, slots=True)
class Logo:
    """An image (PNG) and its SHA-256 in hex."""

    sha256: str
    image: bytes


class SettingsQueries(Queries):
    """The utility's own settings."""

    def utility_settings(
        self, *, bill_id: str | None = None, version: int | None = None
    ) -> StoredSettings:
        """The settings that held when a bill was issued, or a version; without, those of now."""
        if version is not None:
            found = self._call("utility_settings_version", version=version)
            return StoredSettings.model_validate(found) if found else StoredSettings()
        asked = {"bill_id": bill_id} if bill_id else {}
        found = self._call("utility_settings_at", **asked)
        return StoredSettings.model_validate(found) if found else StoredSettings()

    def save_utility_settings(
        self,
        *,
        actor: str,
        change_id: str,
        settings: Mapping[str, Any],
        seen: Mapping[str, Any],
        logo: Logo | None = None,
    ) -> StoredSettings:
        """Add a version with some settings changed; the same change again answers that version.

        `seen` are those settings as the form began with them, without the ones that were not set.
        Raises IllegalChange when somebody else changed one of them meanwhile.
        """
        params: Json = {"actor": actor, "id": change_id}
        params |= {"settings": dict(settings), "seen": dict(seen)}
        if logo is not None:
            text = base64.b64encode(logo.image).decode()
            params["logo"] = {"sha256": logo.sha256, "image": text}
        return StoredSettings.model_validate(self._call("save_utility_settings", **params))

    def utility_logo(self, sha256: str) -> bytes | None:
        """The logo (PNG) that settings name by its SHA-256; None for an unknown one."""
        image = self._call("utility_logo", sha256=sha256)["image"]
        return base64.b64decode(image) if image else None

    def utility_settings_changes(self, *, limit: int) -> list[SettingsChange]:
        """The last changes, the newest first."""
        rows = self._transport.select(
            "utility_settings_changes", order=["id.desc"], limit=limit
        ).rows
        return [SettingsChange.model_validate(row) for row in rows]

    def first_steps(self) -> FirstSteps:
        """What of a new utility there is already."""
        return FirstSteps.model_validate(self._call("first_steps"))
