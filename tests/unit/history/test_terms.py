"""Each kind of message has a name, by itself and within a sentence of a timeline."""

from typing import get_args

from services.history import customer_words, terms
from services.records.outbox import OutboxKind


def test_each_kind_of_message_has_its_words() -> None:
    kinds = set(get_args(OutboxKind))
    assert set(terms.OCCASION) == kinds
    assert set(customer_words._OCCASION) == kinds
