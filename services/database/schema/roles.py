"""Supabase's roles and default grants, made on any Postgres that lacks them."""

from pathlib import Path

import psycopg

from services.database.transports.postgres import as_database_error

ROLES_SQL = Path(__file__).with_name("supabase_roles.sql")


class UnableToPrepareRoles(Exception):
    """The database's user may not make the roles that the schema needs."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The roles that the billing schema needs could not be made: {reason}. Let a superuser "
            f"of this database run {ROLES_SQL.name} once (its first lines say how), or put a role "
            "with CREATEROLE and BYPASSRLS in DATABASE_URL."
        )


def prepare_roles(dsn: str, *, owner: str | None = None) -> None:
    """Make the roles anon, authenticated, service_role, authenticator and the default grants.

    The grants are on what `owner` (else the DSN's user) will create in schema public of this
    database. May be repeated; changes nothing on Supabase. Raises UnableToPrepareRoles, or a
    DatabaseError if the database cannot be reached.
    """
    try:
        with psycopg.connect(dsn, connect_timeout=10) as connection:
            connection.execute("select set_config('prepare_roles.owner', %s, true)", [owner or ""])
            connection.execute(ROLES_SQL.read_bytes())
    except psycopg.errors.InsufficientPrivilege as error:
        raise UnableToPrepareRoles(error.diag.message_primary or "no permission") from error
    except psycopg.Error as error:
        raise as_database_error(error) from error
