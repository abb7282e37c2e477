"""The outbox keeps no steps that nothing was configured for, and shows them all the same."""

from datetime import UTC, datetime

from services.records.outbox import OutboxEntry, StepState, steps_json

SKIPPED = StepState(status="skipped", detail="not configured")


def entry(steps: dict[str, dict[str, str]]) -> OutboxEntry:
    return OutboxEntry.model_validate(
        {
            "id": "o",
            "bill_id": "b",
            "kind": "bill_issued",
            "steps": steps,
            "status": "open",
            "attempts": 0,
            "created_at": datetime(2026, 11, 29, tzinfo=UTC),
        }
    )


def test_steps_without_a_service_are_left_out_and_read_as_skipped() -> None:
    steps = {8: SKIPPED, 11: StepState(status="pending"), 12: StepState(status="skipped")}
    kept = steps_json(steps)
    assert kept == {"11": {"status": "pending"}, "12": {"status": "skipped"}}
    read = entry(kept).steps
    assert set(read) == {8, 9, 10, 11, 12, 13}
    assert (read[8], read[13]) == (SKIPPED, SKIPPED)
    assert (read[11].status, read[12].detail) == ("pending", "")


def test_steps_as_older_versions_kept_them_are_read_alike() -> None:
    old = {"8": {"status": "skipped", "detail": "not configured"}, "11": {"status": "pending"}}
    assert entry(old).steps == entry({"11": {"status": "pending", "detail": ""}}).steps
