"""An id made from a name is that of the standard library."""

from uuid import NAMESPACE_URL, UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from services.quantities.named_ids import named_id


@given(namespace=st.uuids(), name=st.text())
def test_an_id_is_that_of_uuid5(namespace: UUID, name: str) -> None:
    assert named_id(namespace, name) == str(uuid5(namespace, name))


def test_an_id_of_today_is_the_id_of_tomorrow() -> None:
    assert (
        named_id(NAMESPACE_URL, "electricity-billing/bill")
        == "de6d0d96-b082-5288-a1a2-9817c2839e84"
    )
