"""The embedded Postgres: a real server of our own under the data folder."""

from services.database.embedded.server import EmbeddedPostgres
from services.database.embedded.user import EmbeddedPostgresError

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError"]
