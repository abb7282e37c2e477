"""However a read is corrected, banks of kWh are what the right reads alone would have left."""

from collections.abc import Sequence
from itertools import pairwise
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.billing.draw_up import measured_bill, past_of_new
from services.corrections.affected_bills import by_reading, reissue
from services.records.bills import NewBill, PricingInputs
from services.records.corrections import BillChain
from services.records.readings import Reading
from tests.unit.corrections.test_affected_bills import (
    ENERGY,
    ISSUE,
    METER,
    bill,
    book,
    read,
    version,
)

UTC_ZONE = ZoneInfo("UTC")
MONTHS = 8
SLABS: dict[str, Any] = ENERGY | {
    "slab_limits_per": "bill",
    "slabs": [{"up_to_kwh": "50", "rate": "3"}, {"rate": "6"}],
}
PAID: dict[str, Any] = ENERGY | {"code": "paid", "quantity": "settled_kwh", "rate": "-2"}
Figures = tuple[str, int, Any]


def solar(settled_in: int) -> Any:
    return version(SLABS, PAID, net_metering={"surplus": "paid", "settled_in": settled_in})


def drawn_up(reads: Sequence[Reading], tariff: Any, *, settles_at_end: bool) -> list[NewBill]:
    """The bills from each read to the next."""
    bills: list[NewBill] = []
    for opening, closing in pairwise(reads):
        past = tuple(past_of_new(one, tariff_id="t") for one in reversed(bills))
        bills.append(
            measured_bill(
                agreement_id="a",
                constants=METER.constants,
                opening=opening,
                closing=closing,
                tariffs=[tariff],
                reissue_no=0,
                issue=ISSUE,
                zone=UTC_ZONE,
                inputs=PricingInputs(past=past),
                is_final=settles_at_end and closing is reads[-1],
            ).priced()
        )
    return bills


def chain_of(reads: Sequence[Reading], made: Sequence[NewBill], tariff: Any) -> BillChain:
    """The bills as the database has them."""
    stored = [
        bill(place, id=new.id, usage=new.usage, tariff_version_id=tariff.id)
        for place, new in enumerate(made, start=1)
    ]
    return book(*stored, tariffs=(tariff,)).model_copy(update={"reads": tuple(reads)})


def figures(new: NewBill) -> Figures:
    return str(new.closing.read_on), new.rated.total_minor, (new.usage or {})["net"]


@pytest.mark.parametrize("seed", range(40))
def test_a_chain_made_anew_is_the_chain_of_the_right_reads(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - no secret
    tariff, ends = solar(random.randint(1, 12)), random.random() < 0.5
    used = sent = 0
    reads = []
    for month in range(MONTHS + 1):
        reads.append(read(month, 1000 + used, export=sent * 1000))
        used, sent = used + random.randint(0, 90), sent + random.choice([0, 20, 150])
    made = drawn_up(reads, tariff, settles_at_end=ends)
    chain = chain_of(reads, made, tariff)
    if ends:
        chain = chain.model_copy(update={"ends_on": reads[-1].read_on})
    place = random.randint(1, MONTHS - 1)
    wrong, right = reads[place], None
    if random.random() < 0.8:
        between = [reads[place - 1], reads[place + 1]]
        export = random.randint(*(one.registers["export"] for one in between))
        wh = random.randint(*(one.register_wh for one in between))
        update = {"id": "right", "register_wh": wh, "registers": {"export": export}}
        right = wrong.model_copy(update=update)
    changes = reissue(
        chain.with_read(wrong, right),
        by_reading(chain, wrong, right),
        issue=ISSUE,
        zone=UTC_ZONE,
    )
    touched = {one.id for change in changes for one in change.affected.bills}
    kept = [figures(new) for new in made if new.id not in touched]
    after = [*kept, *(figures(change.new) for change in changes if change.new)]
    right_reads = [*reads[:place], *([right] if right else []), *reads[place + 1 :]]
    wanted = drawn_up(right_reads, tariff, settles_at_end=ends)
    assert sorted(after, key=_by_day) == sorted(map(figures, wanted), key=_by_day)


def _by_day(of: Figures) -> str:
    return of[0]
