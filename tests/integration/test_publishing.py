"""When a version of a tariff may be published, by whom, and what happens at the same moment."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from services.database.errors import ChainMoved, IllegalChange
from services.identity.auth import NotAllowed
from services.importing.importer import Importer
from services.quantities.period import Period
from services.rating import rate
from services.records.bills import NewBill
from services.records.readings import Read
from services.tariffs import Tariff, parse_tariff
from tests.integration.utility import ACTOR, ADMIN, ENGINEER, KSEB, Utility, make_utility


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


def version(begins: date, *, rent: str = "7.00", **fields: Any) -> Tariff:
    """The tariff of the tests from a date, with another meter rent."""
    data = json.loads(json.dumps(KSEB)) | {"effective_from": begins.isoformat()} | fields
    data["charges"][2]["amount"] = rent
    return parse_tariff(data)


def published(utility: Utility, tariff: Tariff) -> bool:
    return utility.services.tariff_publishing.publish(tariff=tariff, principal=ADMIN)


def begins_of(utility: Utility) -> list[date]:
    versions = utility.services.database.published_versions(code=str(KSEB["code"]))
    return [version.effective_from for version in versions]


class TestRules:
    def test_a_version_begins_where_the_bills_end_or_later(self, utility: Utility) -> None:
        utility.add_meter("M1")
        utility.submit("M1", 1117)
        with pytest.raises(IllegalChange, match=r"is billed up to .* \(meter M1\)"):
            published(utility, version(utility.today - timedelta(days=1)))
        assert published(utility, version(utility.today))
        assert begins_of(utility) == [utility.today, date(2020, 1, 1)]

    def test_a_bill_that_is_void_is_no_obstacle(self, utility: Utility) -> None:
        utility.add_meter("M1")
        bill = utility.submit("M1", 1117).bill
        assert bill is not None
        utility.services.database.void_bill(actor=ACTOR, bill_id=bill.id, reason="misread")
        assert published(utility, version(bill.period_start))

    def test_the_same_version_again_changes_nothing_and_another_is_refused(
        self, utility: Utility
    ) -> None:
        tomorrow = utility.today + timedelta(days=1)
        assert published(utility, version(tomorrow))
        assert not published(utility, version(tomorrow))
        with pytest.raises(IllegalChange, match="already has another version"):
            published(utility, version(tomorrow, rent="8.00"))

    def test_another_currency_is_refused(self, utility: Utility) -> None:
        with pytest.raises(IllegalChange, match="is in INR; its currency cannot change"):
            published(utility, version(utility.today, currency="USD"))

    def test_only_administrators_publish_and_the_audit_trail_says_who(
        self, utility: Utility
    ) -> None:
        database = utility.services.database
        with pytest.raises(NotAllowed):
            utility.services.tariff_publishing.publish(
                tariff=version(utility.today), principal=ENGINEER
            )
        assert published(utility, version(utility.today))
        newest = database.published_versions(code=str(KSEB["code"]))[0]
        assert newest.published_by == ADMIN.user
        assert newest.tariff == version(utility.today)

    def test_an_import_obeys_the_same_rule(self, utility: Utility) -> None:
        utility.add_meter("M1")
        utility.submit("M1", 1117)
        importer = Importer(utility.services.database, utility.services.settings.timezone)

        def imported(tariff: Tariff) -> list[str]:
            source = json.dumps(tariff.to_json())
            report = importer.tariffs(source, actor=ACTOR, now=utility.now)
            return [str(error) for error in report.errors]

        (refused,) = imported(version(utility.today - timedelta(days=1)))
        assert refused.startswith("row 1, effective_from: Tariff KSEB-LT1A is billed up to")
        assert imported(version(utility.today)) == []
        # What an import wrote and what the page publishes are the same version.
        assert not published(utility, version(utility.today))


class TestAtTheSameMoment:
    def test_of_two_who_publish_for_one_date_one_is_refused(self, utility: Utility) -> None:
        begins, ready = utility.today + timedelta(days=1), Barrier(2)

        def one(rent: str) -> str:
            ready.wait()
            try:
                return f"published {published(utility, version(begins, code='NEW', rent=rent))}"
            except IllegalChange as error:
                return error.message

        with ThreadPoolExecutor(2) as pool:
            answers = sorted(pool.map(one, ("7.00", "8.00")))
        assert answers[0].startswith("Tariff NEW already has another version")
        assert answers[1] == "published True"
        assert len(utility.services.database.published_versions(code="NEW")) == 1

    def test_a_publication_waits_for_a_bill_that_is_being_stored(
        self, utility: Utility, database: str, draft: Callable[[], NewBill]
    ) -> None:
        bill = draft()
        call = json.dumps({"actor": ACTOR, "bills": [bill.to_json()], "set_aside": []})
        with ThreadPoolExecutor(1) as pool, psycopg.connect(database) as storing:
            storing.execute("select public.store_job_bills(%s)", [call])
            begins = version(bill.closing.read_on - timedelta(days=1))
            publication = pool.submit(published, utility, begins)
            waits = "select count(*) from pg_locks where not granted"
            while storing.execute(waits).fetchone() == (0,):
                assert not publication.done()
            storing.commit()
            with pytest.raises(IllegalChange, match="is billed up to"):
                publication.result(timeout=20)

    def test_a_bill_priced_before_a_publication_is_priced_again(
        self, utility: Utility, draft: Callable[[], NewBill]
    ) -> None:
        stale = draft()
        assert published(utility, version(stale.opening.read_on))
        database = utility.services.database
        with pytest.raises(ChainMoved):
            database.store_job_bills(actor=ACTOR, bills=[stale])
        fresh = draft()
        assert fresh.rated.total_minor > stale.rated.total_minor
        assert database.store_job_bills(actor=ACTOR, bills=[fresh]) == (1, [])


@pytest.fixture
def draft(utility: Utility) -> Callable[[], NewBill]:
    """Call it for a bill of the meter M1, priced but not stored."""
    database, issuer = utility.services.database, utility.services.issuer
    meter = utility.add_meter("M1")
    row: dict[str, Any] = {"id": str(uuid4()), "meter_id": meter, "register_wh": 1_117_000}
    row |= {"read_at": utility.now.isoformat(), "read_on": utility.today.isoformat()}
    row |= {"status": "accepted", "validation": {}}
    assert database.import_readings(actor=ACTOR, rows=[row]).added == 1
    read = {name: row[name] for name in ("id", "meter_id", "read_at", "read_on", "register_wh")}

    def draw_up() -> NewBill:
        context = database.reading_context(
            meter_serial="M1", read_at=utility.now, read_on=utility.today
        )
        closing = Read.model_validate(read)
        return issuer.bills_up_to(context=context, closing=closing, now=utility.now)[-1]

    return draw_up


def test_a_replay_prices_the_issued_bills_of_the_month_each_as_alone(utility: Utility) -> None:
    database = utility.services.database
    for number in range(3):
        utility.add_meter(f"M{number}")
        assert utility.submit(f"M{number}", 1050 + 100 * number).bill is not None
    tariff = version(utility.today)
    (kseb,) = database.tariffs()
    (bill, *_) = utility.bills_of("M1")
    last_day = bill.period_end - timedelta(days=1)
    found = utility.services.tariff_publishing.impact(
        tariff=tariff, of=kseb, month=last_day.replace(day=1), principal=ADMIN
    )
    assert (len(found.replayed), found.lose, found.gain) == (3, 3, 0)
    for one in found.replayed:
        period = Period(one.bill.period_start, one.bill.period_end)
        alone = rate(tariff=tariff, consumption_wh=one.bill.consumption_wh, period=period)
        assert one.after_minor == alone.total_minor
        assert one.change_minor == 119  # 1.00 more rent, 18% tax and 1% cess on it
