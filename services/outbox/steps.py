"""The thirteen steps of the main story: their names, their order, and how each came out."""

from collections.abc import Callable
from dataclasses import dataclass

from services.languages.sentence import N_
from services.records.outbox import Lane, StepStatus

STEP_NAMES = {
    1: N_("Reading submitted"),
    2: N_("Reading received"),
    3: N_("Sign-in verified"),
    4: N_("Past readings looked up"),
    5: N_("Reading validated"),
    6: N_("Bill calculated"),
    7: N_("Reading and bill stored"),
    8: N_("Saved to the graph"),
    9: N_("Payment link created"),
    10: N_("Bill updated with the link"),
    11: N_("Message written"),
    12: N_("Message sent"),
    13: N_("Notification logged"),
}

# Those that write to the customer.
MESSAGE_STEPS = (11, 12, 13)
LANE_STEPS: dict[Lane, tuple[int, ...]] = {
    "graph": (8,),
    "links": (9, 10),
    "messages": MESSAGE_STEPS,
}
# The step that must end before another.
COMES_AFTER = {10: 9, 12: 11, 13: 12}

# What waits in a queue is taken up by the queue; should it lose it, here.
QUEUED_SECONDS = 43_200
# How the detail begins of a step whose turn has not come.
WAITS = "waits for"

_STATE: dict[StepStatus, str] = {
    "done": "",
    "running": N_("under way"),
    "skipped": N_("skipped"),
    "failed": N_("failed"),
}

FINAL: frozenset[StepStatus] = frozenset({"done", "skipped", "failed"})


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """How one step came out; `detail` is a phrase that a person understands."""

    step: int
    status: StepStatus
    detail: str = ""

    @property
    def name(self) -> str:
        """The step's name as pages and the API show it."""
        return STEP_NAMES[self.step]

    @property
    def state(self) -> str:
        """Its status in words for people; nothing where the detail says it all."""
        if self.status != "pending":
            return _STATE[self.status]
        if self.detail.startswith(WAITS):
            return ""
        # Whoever tried it in vain left the reason.
        return "will be tried again" if self.detail else "waiting"


class WaitsForTurn(Exception):
    """A step waits in a queue, which takes it up: it stays pending, and no attempt counts.

    The words go on after "waits for". After `seconds` it is looked at in any case.
    """

    def __init__(self, words: str, *, seconds: int = QUEUED_SECONDS) -> None:
        super().__init__(words)
        self.seconds = seconds


Progress = Callable[[StepOutcome], None]


def unobserved(_: StepOutcome) -> None:
    """A progress listener for those who only want the answer."""


class StepLog:
    """Collects outcomes in order and reports each to a listener, as it begins and as it ends."""

    def __init__(self, listener: Progress = unobserved) -> None:
        self._listener = listener
        self.outcomes: list[StepOutcome] = []

    def begin(self, step: int) -> None:
        """Report that a step is under way."""
        self._listener(StepOutcome(step, "running"))

    def end(self, step: int, status: StepStatus, detail: str = "") -> None:
        """Keep a step's outcome, the newest when it ran twice, and report it."""
        outcome = StepOutcome(step, status, detail)
        self.outcomes = [o for o in self.outcomes if o.step != step] + [outcome]
        self._listener(outcome)

    def skip(self, *steps: int, because: str) -> None:
        """End steps that will not be taken."""
        for step in steps:
            self.end(step, "skipped", because)
