"""With everything configured, over REST: whatever one service does, the bill is kept."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
from llmock.pytest_plugin import LLMock

from services.bootstrap import run_with, running_checks
from services.health.checks import SystemState
from services.outbox.outbox import MAX_ATTEMPTS
from tests.integration.ai.advised import bill, verdict
from tests.integration.configured.servers import App, Json, Servers
from tests.integration.providers.stand_in import Reply, reply

WORDS = "Namaste {name}! {amount} by {due_date}: "
WAIT = dict.fromkeys((10, 11, 12, 13), ("pending", "waits for"))
Steps = Mapping[int, tuple[str, str]]


@dataclass(frozen=True)
class Fault:
    """What goes wrong, the steps that are not simply done then, and in the end.

    `system` is who says so on the Services page. `rounds` is how often the background takes the
    work up, `owed` how that ends.
    """

    name: str
    system: str
    happen: Callable[[Servers, LLMock], object]
    at_once: Steps
    settings: Mapping[str, str] = field(default_factory=dict)
    rounds: int = 1
    in_the_end: Steps = field(default_factory=dict)
    outbox: str = "finished"


def ai_answers(_: Servers, llmock: LLMock, *, way_to_pay: str = "{link}") -> None:
    text = json.dumps({"text": WORDS + way_to_pay})
    llmock.reply(verdict()).reply(bill()).reply(text)


def ai_talks_nonsense(_: Servers, llmock: LLMock) -> None:
    llmock.reply("{", times=None)


def stripe_fails_three_times(servers: Servers, llmock: LLMock) -> None:
    ai_answers(servers, llmock)
    servers.providers.stripe.faults += [Reply(500, b"{}")] * 3


def stripe_fails_for_good(servers: Servers, llmock: LLMock) -> None:
    ai_answers(servers, llmock, way_to_pay="{reference}")
    servers.providers.stripe.faults += [Reply(500, b"{}")] * MAX_ATTEMPTS


def discord_is_asked_too_often(servers: Servers, llmock: LLMock) -> None:
    ai_answers(servers, llmock)
    # The first pause is short, so that it is asked a second time at once.
    servers.providers.discord.faults += [reply(429, {"retry_after": 0.01, "global": False})] * 2


FAULTS = (
    Fault(
        "the graph is down",
        "Graph",
        ai_answers,
        # Nobody listens on port 9.
        settings={"NEO4J_URI": "bolt://127.0.0.1:9"},
        at_once={8: ("pending", "The graph cannot be reached.")},
    ),
    Fault(
        "Stripe fails three times",
        "Payments (Stripe)",
        stripe_fails_three_times,
        at_once={9: ("pending", "Stripe answered 500.")} | WAIT,
        rounds=3,
    ),
    Fault(
        "Stripe fails for good",
        "Payments (Stripe)",
        stripe_fails_for_good,
        at_once={9: ("pending", "Stripe answered 500.")} | WAIT,
        rounds=MAX_ATTEMPTS - 1,
        in_the_end={
            9: ("failed", "given up after 10 attempts: Stripe answered 500."),
            10: ("skipped", "step 9 failed"),
            11: ("done", "written by AI"),
        },
        outbox="given_up",
    ),
    Fault(
        "Discord is asked too often",
        "Messages (Discord)",
        discord_is_asked_too_often,
        at_once={12: ("pending", "Discord: waiting"), 13: ("pending", "waits for")},
    ),
    Fault(
        "AI talks nonsense",
        "AI",
        ai_talks_nonsense,
        at_once={
            5: ("done", "answered in a form that cannot be read"),
            6: ("done", "answered in a form that cannot be read"),
            11: ("done", "written from a template"),
        },
        rounds=0,
        in_the_end={11: ("done", "written from a template")},
    ),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_bill_is_kept_and_its_work_comes_to_an_end(
    servers: Servers, llmock: LLMock, fault: Fault
) -> None:
    fault.happen(servers, llmock)
    serial = f"F-{FAULTS.index(fault)}"
    with servers.app(fault.settings) as app:
        status, answer = app.submit(app.add_household(serial), servers.sign_in())
        failed = {s.name: s.last_error.sentence for s in states_of(app) if s.last_error}
    assert set(failed) == {fault.system}, failed
    assert (status, answer["bill"]["total"], answer["bill"]["status"]) == (201, "540.35", "issued")
    came_out({step["step"]: step for step in answer["steps"]}, fault.at_once)
    if fault.rounds:
        with servers.app() as another_process:
            for _ in range(fault.rounds):
                another_process.later()
    (outbox,) = servers.supabase.rows("outbox", bill_id=f"eq.{answer['bill']['id']}")
    assert outbox["status"] == fault.outbox
    came_out({int(step): state for step, state in outbox["steps"].items()}, fault.in_the_end)
    assert len(servers.providers.stripe.accepted()) == (0 if 9 in fault.in_the_end else 1)
    assert [
        len(servers.providers.discord.accepted()),
        len(servers.providers.whatsapp.accepted()),
    ] == [
        2,
        1,
    ]


def states_of(app: App) -> list[SystemState]:
    """What the Services page knows of each system before it tests any."""
    run_with(app.services)
    try:
        return running_checks().states()
    finally:
        run_with(None)


def came_out(steps: Mapping[int, Json], otherwise: Steps) -> None:
    """Each step is done, or as it is said to be otherwise."""
    for number, step in steps.items():
        status, words = otherwise.get(number, ("done", ""))
        assert step["status"] == status, step
        assert words in step["detail"], step
