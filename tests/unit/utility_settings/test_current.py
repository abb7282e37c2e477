"""The settings that hold: the environment's first, then what is stored, then defaults."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from services.database.service import DatabaseService
from services.database.transport import Selection, TemporaryDatabaseError
from services.settings import Settings
from services.utility_settings.current import SECONDS_BETWEEN_LOOKS, CurrentSettings


class Stored:
    """A database of nothing but settings, which may be away."""

    def __init__(self) -> None:
        self.version: int = 0
        self.settings: dict[str, Any] = {}
        self.asked = 0
        self.is_away = False

    def set(self, **settings: Any) -> None:
        self.version, self.settings = self.version + 1, {**self.settings, **settings}

    def call(self, function: str, params: Mapping[str, Any], **_: Any) -> Any:
        assert (function, set(params) - {"bill_id"}) == ("utility_settings_at", set())
        self.asked += 1
        if self.is_away:
            raise TemporaryDatabaseError("08006", "away")
        return {"version": self.version, "settings": self.settings}

    def select(self, view: str, **_: Any) -> Selection:
        raise AssertionError(view)

    def close(self) -> None:
        pass


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def go_on(self) -> None:
        self.seconds += SECONDS_BETWEEN_LOOKS


class Process:
    """A process that looks at what is stored."""

    def __init__(self, **environment: Any) -> None:
        self.stored, self.clock = Stored(), Clock()
        self.deployed = Settings(**environment)
        database = DatabaseService(self.stored)
        self.current = CurrentSettings(self.deployed, database, clock=self.clock)


def test_without_anything_stored_the_environment_and_the_defaults_hold() -> None:
    process = Process(utility_name="Hill Power", due_days=7)
    held = process.current.start()
    assert (held.utility_name, held.due_days, held.currency) == ("Hill Power", 7, "INR")
    assert held.model_fields_set == {"utility_name", "due_days"}


def test_what_is_stored_holds_unless_the_environment_says_it() -> None:
    process = Process(due_days=7)
    process.stored.set(utility_name="River Power", due_days=30, bill_approval=True)
    held = process.current.start()
    assert (held.utility_name, held.due_days) == ("River Power", 7)
    terms = process.current.terms()
    assert (terms.due_days, terms.approval) == (7, True)


def test_a_change_is_taken_up_without_a_restart_and_seldom_asked_for() -> None:
    process = Process()
    process.current.start()
    process.stored.set(utility_name="River Power")
    assert process.current().utility_name != "River Power"
    process.clock.go_on()
    assert process.current().utility_name == "River Power"
    assert process.current().utility_name == "River Power"
    assert process.stored.asked == 2


def test_the_time_zone_waits_for_a_restart() -> None:
    process = Process()
    process.current.start()
    process.stored.set(timezone="Africa/Nairobi", due_days=3)
    process.clock.go_on()
    held = process.current()
    assert (held.timezone, held.due_days) == (ZoneInfo("Asia/Kolkata"), 3)
    assert process.current.time_zone_after_restart == "Africa/Nairobi"
    assert process.current.start().timezone == ZoneInfo("Africa/Nairobi")
    assert process.current.time_zone_after_restart is None


def test_while_the_database_is_away_what_was_known_holds() -> None:
    process = Process()
    process.stored.set(utility_name="River Power")
    process.current.start()
    process.stored.is_away = True
    process.clock.go_on()
    assert process.current().utility_name == "River Power"
    asked = process.stored.asked
    assert process.current().utility_name == "River Power"
    assert process.stored.asked == asked, "it is not asked again with each click"


def test_an_older_answer_does_not_take_a_newer_ones_place() -> None:
    process = Process()
    process.stored.set(utility_name="River Power")
    old = DatabaseService(process.stored).utility_settings()
    process.stored.set(utility_name="Sea Power")
    process.current.start()
    process.current.take_up(old)
    assert process.current().utility_name == "Sea Power"


def test_a_stored_value_that_this_version_cannot_use_counts_as_not_set() -> None:
    process = Process()
    process.stored.set(due_days=4000, utility_name="River Power", colour="teal", currency=None)
    held = process.current.start()
    assert (held.due_days, held.utility_name, held.currency) == (15, "River Power", "INR")


def test_a_bill_prints_every_way_to_reach_the_utility() -> None:
    process = Process(utility_contact="1 Hill Road")
    process.stored.set(
        utility_name="River Power", utility_phone="0484 12", utility_website="river.example"
    )
    printed = process.current.printed_on("a-bill")
    assert printed.name == "River Power"
    assert printed.contact == "1 Hill Road\n0484 12 · river.example"
    assert printed.logo is None
