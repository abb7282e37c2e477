"""Links to customers' pages prove whose they are, and until when; nothing else opens a page."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from services.people.customer_links import LINK_LIFETIME, CustomerLinks, LinkNotGood

NOW = datetime(2026, 11, 28, 6, 0, tzinfo=UTC)
CUSTOMER = str(uuid4())


@pytest.fixture
def links() -> CustomerLinks:
    return CustomerLinks(b"k" * 48)


def test_a_link_says_whose_it_is_until_its_time_is_over(links: CustomerLinks) -> None:
    text = links.make(customer_id=CUSTOMER, generation=7, now=NOW)
    assert len(text) == 54
    last = NOW + LINK_LIFETIME - timedelta(seconds=1)
    for at in (NOW, last):
        said = links.verify(text, at)
        assert (said.customer_id, said.generation) == (CUSTOMER, 7)
    with pytest.raises(LinkNotGood, match="too old"):
        links.verify(text, NOW + LINK_LIFETIME)


def test_a_link_of_another_key_is_none(links: CustomerLinks) -> None:
    text = CustomerLinks(b"x" * 48).make(customer_id=CUSTOMER, generation=0, now=NOW)
    with pytest.raises(LinkNotGood, match="not one of ours"):
        links.verify(text, NOW)


def test_a_mark_of_a_device_is_no_link_and_the_reverse(links: CustomerLinks) -> None:
    mark = links.mark_device(customer_id=CUSTOMER, generation=0, number=2**32 - 1)
    link = links.make(customer_id=CUSTOMER, generation=0, now=NOW)
    with pytest.raises(LinkNotGood):
        links.verify(mark, NOW)
    assert links.known_device(link, customer_id=CUSTOMER, generation=0) is None
    assert links.known_device(mark, customer_id=CUSTOMER, generation=0) == "device 4294967295"


@pytest.mark.parametrize(
    ("customer", "generation"), [(str(uuid4()), 0), (CUSTOMER, 1)], ids=["another", "ended"]
)
def test_a_device_is_known_to_its_customer_until_all_links_are_ended(
    links: CustomerLinks, customer: str, generation: int
) -> None:
    mark = links.mark_device(customer_id=CUSTOMER, generation=0, number=1)
    assert links.known_device(mark, customer_id=customer, generation=generation) is None


def test_the_hash_of_a_code_is_of_its_customer_and_its_key(links: CustomerLinks) -> None:
    hashes = {
        links.hash_code("12345678", customer_id=CUSTOMER),
        links.hash_code("12345678", customer_id=str(uuid4())),
        links.hash_code("12345679", customer_id=CUSTOMER),
        CustomerLinks(b"x" * 48).hash_code("12345678", customer_id=CUSTOMER),
    }
    assert len(hashes) == 4
