"""Whether a database that this system cannot migrate itself has the schema that it needs."""

from pathlib import Path

from services.database.schema.migrations import (
    DatabaseNewerThanCode,
    MigrationError,
    read_migrations,
)
from services.database.transport import DatabaseError, Transport
from services.database.transports.supabase_errors import NO_SUCH_FUNCTION
from services.quantities.counting import count

PUSH = "Run `supabase db push` in the project's folder, then start again."


class SchemaNotPushed(MigrationError):
    """The Supabase project lacks migrations, all or the latest."""


def check_schema(transport: Transport, folder: Path) -> None:
    """Do nothing if the database has exactly the migrations of the folder.

    Raises SchemaNotPushed, DatabaseNewerThanCode, or DatabaseError if it cannot be asked.
    """
    has = _versions(transport)
    needed = {one.version: one.stem for one in read_migrations(folder)}
    missing = [stem for version, stem in needed.items() if version not in has]
    if missing:
        raise SchemaNotPushed(
            f"The Supabase project's schema is older than this version of the program "
            f"({count(len(missing), 'migration')} missing, the first is {missing[0]}). {PUSH}"
        )
    unknown = sorted(has - needed.keys())
    if unknown:
        raise DatabaseNewerThanCode(
            f"The Supabase project has migrations that this version does not know "
            f"({', '.join(unknown)}). Use the newer version of the program."
        )


def _versions(transport: Transport) -> set[str]:
    try:
        answer = transport.call("schema_version", {})
    except DatabaseError as error:
        if error.code not in {NO_SUCH_FUNCTION, "42883"}:
            raise
        answer = None
    if answer is None:
        raise SchemaNotPushed(
            f"The Supabase project does not have the billing system's schema, or an old one. {PUSH}"
        )
    return set(answer["versions"])
