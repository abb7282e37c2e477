"""A migration that databases have applied is never edited: they would not apply it again."""

import hashlib
from pathlib import Path

from tests.servers import MIGRATIONS

# As `sha256sum *.sql` writes it; a migration is added once databases of others may have it.
RELEASED = Path(__file__).parents[3] / "data" / "migrations.sha256"


def test_no_released_migration_was_edited_or_taken_away() -> None:
    lines = [line.split("  ") for line in RELEASED.read_text().splitlines()]
    assert len(lines) > 100
    for digest, name in lines:
        file = MIGRATIONS / name
        assert file.exists(), f"{name} is gone"
        assert hashlib.sha256(file.read_bytes()).hexdigest() == digest, (
            f"{name} was edited: databases that have applied it never see that. Put the change "
            "into a migration of its own."
        )
