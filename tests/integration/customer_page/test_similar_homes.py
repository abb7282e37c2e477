"""What similar homes use is shown where there are enough of them, and of nobody in particular."""

from datetime import date, timedelta

from services.customer_page.similar_homes import LEAST_HOMES
from tests.integration.customer_page.visitor import Town


def used(town: Town, serial: str, kwh: int) -> str:
    """A home that used so much in the whole of a month; the agreement of its meter."""
    first = town.utility.today.replace(day=1)
    town.utility.add_meter(serial, opened_on=(first - timedelta(days=1)).replace(day=1))
    zone = town.utility.services.settings.timezone
    # On the first, at this moment: eight o'clock may be to come.
    at = min(town.utility.now.astimezone(zone).replace(day=1, hour=8), town.utility.now)
    bill = town.utility.submit(serial, 1000 + kwh, at=at).bill
    assert bill is not None
    town.sql(
        "update public.service_points set route = 'R1' where id = %s returning id",
        bill.service_point_id,
    )
    return str(bill.agreement_id)


def test_the_home_in_the_middle_of_more_than_ten_is_shown(town: Town) -> None:
    agreements = [used(town, f"M{n:02}", 50 + n) for n in range(LEAST_HOMES)]
    similar, today = town.utility.services.customer_page.lookups.similar, town.utility.today
    assert similar.beside(agreements[0], today=today) == {}
    agreements.append(used(town, "M99", 90))
    # What was found is kept for hours.
    assert similar.beside(agreements[0], today=today) == {}
    fresh = type(similar)(town.utility.services.database)
    month = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    assert fresh.beside(agreements[0], today=today) == {month: 55_000}
    assert fresh.beside(agreements[-1], today=today) == {month: 55_000}
    # Another route is another band, and too small a one.
    town.sql(
        "update public.service_points set route = 'R2' where id in (select service_point_id"
        " from public.service_agreements where id = %s) returning id",
        agreements[-1],
    )
    assert fresh.beside(agreements[-1], today=today) == {}
    assert fresh.beside(None, today=date(2026, 1, 1)) == {}
