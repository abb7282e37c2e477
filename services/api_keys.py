"""Keys for programs: made once, known afterwards only by their hash."""

from uuid import uuid4

from services.auth import Role, hash_api_key, new_api_key
from services.database.service import DatabaseService

LONGEST_NAME = 100


class UnusableName(ValueError):
    """A key was to be made under a name by which nobody could tell it."""


def make_api_key(database: DatabaseService, *, actor: str, name: str, role: Role) -> str:
    """Keep a new key for the program `name` and return it: it can never be shown again.

    Raises UnusableName, and IllegalChange when another key has the name, revoked or not.
    """
    name = name.strip()
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise UnusableName(f"A key's name is 1 to {LONGEST_NAME} printable characters.")
    key = new_api_key()
    database.add_api_key(
        actor=actor, key_id=str(uuid4()), name=name, key_hash=hash_api_key(key), role=role
    )
    return key
