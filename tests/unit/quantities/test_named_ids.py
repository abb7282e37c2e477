"""Ids that begin with a time: the same of the same, in order, as the standard says."""

import re
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_URL, RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from services.quantities.named_ids import named_id_beside, ordered_id, ordered_named_id
from services.settings import PROJECT_FOLDER

INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
AT = datetime(2026, 11, 1, 18, 30, tzinfo=UTC)


def milliseconds(text: str) -> int:
    return int(UUID(text).hex[:12], 16)


@given(at=INSTANTS, namespace=st.uuids(), name=st.text())
def test_an_id_of_a_name_is_one_of_version_8(at: datetime, namespace: UUID, name: str) -> None:
    made = ordered_named_id(at, namespace, name)
    assert made == str(UUID(made)) == ordered_named_id(at, namespace, name)
    assert (UUID(made).version, UUID(made).variant) == (8, RFC_4122)
    assert milliseconds(made) == (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        milliseconds=1
    )


@given(one=INSTANTS, other=INSTANTS)
def test_ids_are_in_the_order_of_their_instants(one: datetime, other: datetime) -> None:
    first, second = sorted((one, other))
    if second - first >= timedelta(milliseconds=1):
        assert ordered_id(first) < ordered_id(second)
        assert ordered_named_id(first, NAMESPACE_URL, "x") < ordered_named_id(
            second, NAMESPACE_URL, "a"
        )


def test_a_new_id_is_one_of_version_7_and_of_its_own() -> None:
    made = {ordered_id(AT) for _ in range(1000)}
    assert len(made) == 1000
    assert {UUID(one).version for one in made} == {7}
    assert {milliseconds(one) for one in made} == {1_793_557_800_000}


def test_another_name_or_instant_makes_another_id() -> None:
    later = AT + timedelta(milliseconds=1)
    made = {ordered_named_id(at, NAMESPACE_URL, name) for at in (AT, later) for name in ("a", "b")}
    assert len(made) == 4


def test_an_id_of_today_is_the_id_of_tomorrow() -> None:
    assert (
        ordered_named_id(AT, NAMESPACE_URL, "electricity-billing/bill")
        == "01a19860-2440-8288-a1a2-9817c2839e84"
    )


def test_what_opened_before_1970_begins_with_zeros() -> None:
    made = ordered_named_id(datetime(1950, 1, 1, tzinfo=UTC), NAMESPACE_URL, "a")
    assert milliseconds(made) == 0


def test_an_id_beside_another_begins_alike() -> None:
    bill = ordered_id(AT)
    beside = named_id_beside(bill, NAMESPACE_URL, "x")
    assert beside != named_id_beside(bill, NAMESPACE_URL, "y")
    assert beside == named_id_beside(bill, NAMESPACE_URL, "x")
    assert milliseconds(beside) == milliseconds(bill)
    assert UUID(beside).version == 8


def test_no_row_gets_a_random_id_of_the_database() -> None:
    schemas = (PROJECT_FOLDER / "supabase" / "schemas").glob("*.sql")
    text = "".join(path.read_text(encoding="utf-8") for path in schemas)
    # Once: of it private.ordered_id() makes one in order.
    assert re.findall(r"(\w+)\(gen_random_uuid\(\)\)", text) == ["uuid_send"]
    assert text.count("gen_random_uuid") == 1
