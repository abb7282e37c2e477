"""The Settings page's service: administrators look at the settings and change them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from services.database.queries.utility_settings import Logo
from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.records.overview import FirstSteps, SettingsChange, StoredSettings
from services.utility_settings.current import CurrentSettings
from services.utility_settings.entry import checked
from services.utility_settings.logo import logo_from
from services.utility_settings.model import NAMES, LiveSettings, live_settings

CHANGES_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class ShownSettings:
    """The settings as a form begins with them.

    `time_zone_after_restart` is set where another one than the present is to hold from then on.
    Once `has_numbers`, bills have numbers, and the first one cannot change; so credit notes once
    `has_credit_notes`.
    """

    held: LiveSettings
    stored: StoredSettings
    time_zone_after_restart: str | None
    has_numbers: bool
    has_credit_notes: bool

    def variable_of(self, name: str) -> str | None:
        """The environment variable that sets a setting, which then cannot be changed here."""
        return name.upper() if name in self.held.model_fields_set else None


@dataclass(frozen=True, slots=True)
class SettingsDesk:
    """Settings, for administrators: each method raises NotAllowed for anybody else.

    Every change is audited with who made it, when, and the values before and after.
    """

    database: DatabaseService
    current: CurrentSettings

    def shown(self, *, principal: Principal) -> ShownSettings:
        """The settings as they are now. Raises DatabaseError."""
        require(principal, Permission.VIEW_SYSTEM)
        stored = self.database.utility_settings()
        self.current.take_up(stored)
        return ShownSettings(
            held=self.current(),
            stored=stored,
            time_zone_after_restart=self.current.time_zone_after_restart,
            has_numbers=self.database.first_steps().bills,
            has_credit_notes=bool(self.database.credit_notes(limit=1)),
        )

    def change(
        self,
        *,
        change_id: str,
        body: Mapping[str, Any],
        seen: StoredSettings,
        principal: Principal,
    ) -> bool:
        """Store the settings of a form; False when it changes none.

        The same `change_id` again changes nothing; `seen` is what the form began with. Raises
        InvalidSettings, and IllegalChange when somebody else changed one of them meanwhile.
        """
        require(principal, Permission.CHANGE_SETTINGS)
        return self._save(change_id, checked(body, held=self.current()), seen, principal)

    def put_logo(
        self,
        *,
        change_id: str,
        content: bytes,
        file_name: str,
        seen: StoredSettings,
        principal: Principal,
    ) -> bool:
        """Let an uploaded image be the logo from now on; False when it was already.

        Raises InvalidLogo, IllegalChange.
        """
        require(principal, Permission.CHANGE_SETTINGS)
        logo = logo_from(content, file_name=file_name)
        return self._save(change_id, {"logo": logo.sha256}, seen, principal, logo)

    def remove_logo(self, *, change_id: str, seen: StoredSettings, principal: Principal) -> bool:
        """Have no logo from now on; bills that were issued keep theirs. Raises IllegalChange."""
        require(principal, Permission.CHANGE_SETTINGS)
        return self._save(change_id, {"logo": None}, seen, principal)

    def changes(self, *, principal: Principal) -> list[SettingsChange]:
        """The last changes, the newest first."""
        require(principal, Permission.VIEW_SYSTEM)
        return self.database.utility_settings_changes(limit=CHANGES_SHOWN)

    def first_steps(self, *, principal: Principal) -> tuple[bool, FirstSteps]:
        """Whether the utility has a name of its own, and what else of a new one is there."""
        require(principal, Permission.VIEW_SYSTEM)
        held = self.current()
        is_named = "utility_name" in held.model_fields_set
        is_named = is_named or held.utility_name != self._defaults()["utility_name"]
        return is_named, self.database.first_steps()

    def _defaults(self) -> dict[str, Any]:
        """What holds where nothing is stored, as JSON."""
        return live_settings(self.current.deployed, {}).model_dump(mode="json", include=set(NAMES))

    def _save(
        self,
        change_id: str,
        wanted: dict[str, Any],
        seen: StoredSettings,
        principal: Principal,
        logo: Logo | None = None,
    ) -> bool:
        before = seen.settings
        shown = self._defaults() | {n: v for n, v in before.items() if v is not None}
        changed = {name: value for name, value in wanted.items() if value != shown[name]}
        if not changed:
            return False
        stored = self.database.save_utility_settings(
            actor=principal.user,
            change_id=change_id,
            settings=changed,
            seen={name: before[name] for name in changed if name in before},
            logo=logo,
        )
        self.current.take_up(stored)
        return True
