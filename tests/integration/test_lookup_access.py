"""Who may look something up is asked below the pages too, before the database is."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.accounts.lookups import CustomerLookups
from services.accounts.usage import Usage
from services.ai.asking import Budget
from services.ai.usage import AiUsage
from services.bill_documents import Utility
from services.bill_documents.archive import BillArchive
from services.bill_documents.charge_names import ChargeNames
from services.billing.lookups import BillLookups
from services.corrections.lookups import CorrectionLookups
from services.database.service import DatabaseService
from services.database.transport import Selection
from services.history.timeline import Timeline
from services.identity.api_keys import ApiKeys
from services.identity.auth import NotAllowed, Principal
from services.identity.permissions import Role
from services.identity.security_log import SecurityLog
from services.lists.office_lists import OfficeLists
from services.messages.lookups import MessageLookups
from services.payments.lookups import PaymentLookups
from services.payments.stripe.lookups import StripeLookups
from services.readings.lookups import ReadingLookups
from services.readings.photos import MeterPhotos
from services.readings.round import ReadingRound
from services.records.use_limits import LimitBook
from services.tariff_publishing.publishing import TariffPublishing

ZONE = ZoneInfo("Asia/Kolkata")
ENGINEER = Principal("ann", frozenset({Role.ENGINEER}), None, "token")
# It reads nothing, whatever its role.
SUBMITS_ONLY = Principal(
    "key:reader", frozenset({Role.ADMIN}), None, "api_key", scope="submit_readings"
)
FOR_ENGINEERS = {
    *("find_meters", "meter_now", "submitted", "of_principal", "readable", "of_customer"),
    *(
        "routes",
        "meters",
        "all_meters",
        "miss",
        "keep",
        "note_refused",
        "of_reading",
        "jpeg",
        "content",
    ),
}


class Unasked:
    """A database that nobody may come to."""

    def select(self, *_: object, **__: object) -> Selection:
        raise AssertionError("the database was asked")

    def call(self, *_: object, **__: object) -> Any:
        raise AssertionError("the database was asked")

    def close(self) -> None:
        """Nothing is open."""


def lookups() -> Iterator[tuple[str, Callable[..., object]]]:
    """Every look-up that pages have, by its name."""
    database = DatabaseService(Unasked())
    for service in (
        ApiKeys(database, SecurityLog(database)),
        AiUsage(database, Budget(), ZONE),
        BillLookups(database),
        CorrectionLookups(database),
        CustomerLookups(database),
        MessageLookups(database),
        OfficeLists(
            database,
            BillArchive(database, lambda _: Utility("U"), ZONE, ChargeNames(database)),
            lambda: "INR",
        ),
        PaymentLookups(database),
        Timeline(database, ZONE),
        Usage(database),
        ReadingLookups(database, ZONE),
        ReadingRound(database, ZONE, LimitBook),
        MeterPhotos(database),
        StripeLookups(database),
        TariffPublishing(database),
    ):
        for name, method in inspect.getmembers(service, inspect.ismethod):
            if not name.startswith("_"):
                yield f"{type(service).__name__}.{name}", method


def ask(method: Callable[..., object], principal: Principal) -> None:
    """Call it with anything at all, for it must not come so far as to use it."""
    names = inspect.signature(method).parameters
    given: dict[str, Any] = {name: None for name in names if name != "principal"}
    method(**given, principal=principal)


LOOKUPS = dict(lookups())


def test_there_are_look_ups_to_ask() -> None:
    assert len(LOOKUPS) > 40
    assert {name.split(".")[1] for name in LOOKUPS} >= FOR_ENGINEERS


@pytest.mark.parametrize("name", [n for n in LOOKUPS if n.split(".")[1] not in FOR_ENGINEERS])
def test_an_engineer_is_refused_what_is_the_office_s(name: str) -> None:
    with pytest.raises(NotAllowed):
        ask(LOOKUPS[name], ENGINEER)


@pytest.mark.parametrize("name", LOOKUPS)
def test_a_key_for_submitting_readings_looks_nothing_up(name: str) -> None:
    with pytest.raises(NotAllowed):
        ask(LOOKUPS[name], SUBMITS_ONLY)
