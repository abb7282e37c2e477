"""The queues of the channels: messages whose turn has come leave, several at a time."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from services.database.service import DatabaseService
from services.outbox.outbox import Outbox
from services.records.outbox import OutboxEntry

# Side by side, so all are within their leases also where each takes as long as it may.
AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class Delivery:
    """Sends what waits in the queue of a channel, at its rate; any number of processes may do so.

    `per_minute` has how many messages may leave on each channel in a minute.
    """

    database: DatabaseService
    outbox: Outbox
    per_minute: Mapping[str, int]

    def deliver(self, channel: str) -> float | None:
        """Send the first messages in the queue of a channel, as many as may leave now.

        Answers the seconds after which to go on, None when nothing waits. Raises DatabaseError.
        """
        began = time.monotonic()
        owed, wait = self.database.claim_messages(
            owner=self.outbox.owner,
            lease_seconds=self.outbox.lease_seconds,
            channel=channel,
            per_minute=self.per_minute[channel],
            limit=AT_ONCE,
        )
        if len(owed) == 1:
            self._send(owed[0])
        elif owed:
            with ThreadPoolExecutor(AT_ONCE, thread_name_prefix=f"delivery-{channel}") as pool:
                # Read to the end, so that what one raised is raised here.
                list(pool.map(self._send, owed))
        # The turn comes while the messages are under way.
        return None if wait is None else max(0.0, wait - (time.monotonic() - began))

    def _send(self, work: OutboxEntry) -> None:
        if (subject := work.subject) is not None:
            self.outbox.perform(work, bill=subject, lane="messages")
