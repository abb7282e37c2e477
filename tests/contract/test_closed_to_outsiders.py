"""With the anon key, or no good key, nothing is read, called or written over REST."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import requests
from jose import jwt

from services.database.transport import DatabaseError
from services.database.transports.supabase import RestTransport
from tests.contract.conftest import NewProject
from tests.contract.supabase_project import SupabaseProject
from tests.servers import NewDatabase

RELATIONS = """
    select c.relname from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v', 'm', 'p', 'f')
"""
FUNCTIONS = "select p.proname from pg_proc p where p.pronamespace = 'public'::regnamespace"
OUTSIDERS = ("anon", "authenticated")


@pytest.fixture(scope="module")
def dsn(fresh_database: NewDatabase) -> str:
    return fresh_database()


@pytest.fixture(scope="module")
def project(dsn: str, new_project: NewProject) -> SupabaseProject:
    return new_project(dsn)


def names(dsn: str, query: str) -> list[str]:
    with psycopg.connect(dsn) as connection:
        return [row[0] for row in connection.execute(query.encode())]


def headers_of(project: SupabaseProject, role: str) -> dict[str, str]:
    key = project.key(role)
    return {"apikey": key, "Authorization": f"Bearer {key}"}


@pytest.mark.parametrize("role", OUTSIDERS)
def test_no_table_or_view_can_be_read(dsn: str, project: SupabaseProject, role: str) -> None:
    outsider = RestTransport(project.url, project.key(role))
    insider = RestTransport(project.url, project.service_key)
    relations = names(dsn, RELATIONS)
    assert len(relations) > 20
    for relation in relations:
        insider.select(relation, limit=1)
        with pytest.raises(DatabaseError) as caught:
            outsider.select(relation, limit=1)
        assert caught.value.code == "42501", relation
        assert caught.value.detail == f"permission denied for {_kind(caught.value)} {relation}"
    outsider.close()
    insider.close()


@pytest.mark.parametrize("role", OUTSIDERS)
def test_no_function_can_be_called(dsn: str, project: SupabaseProject, role: str) -> None:
    outsider = RestTransport(project.url, project.key(role))
    functions = names(dsn, FUNCTIONS)
    assert len(functions) > 20
    for function in functions:
        with pytest.raises(DatabaseError) as caught:
            outsider.call(function, {})
        assert caught.value.code == "42501", function
        assert caught.value.detail == f"permission denied for function {function}"
    outsider.close()


@pytest.mark.parametrize("role", OUTSIDERS)
def test_no_table_can_be_written(dsn: str, project: SupabaseProject, role: str) -> None:
    headers = headers_of(project, role)
    for relation in names(dsn, RELATIONS):
        address = f"{project.url}/rest/v1/{relation}"
        some = {"id": "neq.00000000-0000-0000-0000-000000000000"}
        for answer in (
            requests.post(address, json={}, headers=headers, timeout=10),
            requests.patch(address, json={"id": None}, params=some, headers=headers, timeout=10),
            requests.delete(address, params=some, headers=headers, timeout=10),
        ):
            assert answer.status_code >= 400, (relation, answer.request.method)


def test_nothing_is_even_listed(project: SupabaseProject) -> None:
    listing = requests.get(
        f"{project.url}/rest/v1/", headers=headers_of(project, "anon"), timeout=10
    )
    assert set(listing.json()["paths"]) == {"/"}


@pytest.mark.parametrize("role", ["postgres", "supabase_admin", "no_such_role", "public"])
def test_a_key_opens_no_other_role(project: SupabaseProject, role: str) -> None:
    transport = RestTransport(project.url, project.key(role))
    with pytest.raises(DatabaseError, match=r"SUPABASE_SERVICE_KEY|does not exist"):
        transport.select("bills", limit=1)
    transport.close()


def test_a_key_must_be_signed_by_the_project_and_not_be_over(project: SupabaseProject) -> None:
    over = datetime.now(UTC) - timedelta(minutes=5)
    forged: list[tuple[dict[str, Any], str]] = [
        ({"role": "service_role"}, "another secret of at least 32 characters"),
        ({"role": "service_role", "exp": int(over.timestamp())}, project.secret),
    ]
    keys = [str(jwt.encode(claims, secret, algorithm="HS256")) for claims, secret in forged]
    # {"alg": "none"} . {"role": "service_role"} . no signature
    keys.append("eyJhbGciOiJub25lIn0.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.")
    for key in keys:
        transport = RestTransport(project.url, key)
        with pytest.raises(DatabaseError, match="SUPABASE_SERVICE_KEY") as caught:
            transport.select("bills", limit=1)
        assert key not in f"{caught.value} {caught.value.detail}"
        transport.close()


def _kind(error: DatabaseError) -> str:
    return "view" if "for view" in str(error.detail) else "table"
