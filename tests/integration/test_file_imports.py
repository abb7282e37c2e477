"""The office's imports: who may, what is seen of a file, and what is remembered."""

import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.identity.auth import NotAllowed
from services.importing.file_imports import FileAnswers, FileImports
from services.importing.kinds import COLUMNS_OF
from services.importing.report import ImportProblem
from services.importing.source import UnreadableFile
from services.languages.language import Language
from services.languages.sentence import sentence
from tests.integration.utility import ADMIN, ENGINEER, Utility, make_utility

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
OWN = "Kundenliste\n\nKonto;Kunde;Zone\n00123;Ann;4\n00124;Ben;4\n".encode("cp1252")


@pytest.fixture
def imports(database: str, tmp_path: Path) -> Iterator[FileImports]:
    made: Utility = make_utility(database, tmp_path, now=NOW)
    yield made.services.imports
    made.services.close()


def test_nobody_else_looks_checks_imports_or_downloads(imports: FileImports) -> None:
    ask = {"answers": FileAnswers(), "principal": ENGINEER, "now": NOW}
    for refused in (
        lambda: imports.look("customers", OWN, principal=ENGINEER),
        lambda: imports.remember("customers", {}, headings=[], principal=ENGINEER),
        lambda: imports.check("customers", OWN, **ask),  # type: ignore[arg-type]
        lambda: imports.bring_in("customers", OWN, **ask),  # type: ignore[arg-type]
        lambda: imports.template("customers", "csv", principal=ENGINEER),
        lambda: imports.problems_file([], principal=ENGINEER),
    ):
        with pytest.raises(NotAllowed):
            refused()


def test_a_file_with_own_headings_is_looked_at_matched_once_and_imported(
    imports: FileImports,
) -> None:
    look = imports.look("customers", OWN, principal=ADMIN)
    assert look.missing == ("account_no", "name")
    assert look.headings == ("Konto", "Kunde", "Zone")
    assert look.rows == ((4, ("00123", "Ann", "4")), (5, ("00124", "Ben", "4")))
    chosen = {"account_no": "Konto", "name": "Kunde", "email": None}
    imports.remember("customers", chosen, headings=look.headings, principal=ADMIN)
    look = imports.look("customers", OWN.replace(b"Konto", b"KONTO_"), principal=ADMIN)
    assert (look.fields, look.missing) == (("account_no", "name", None), ())
    answers = FileAnswers()
    seen = imports.check("customers", OWN, answers=answers, principal=ADMIN, now=NOW)
    assert (seen.added, seen.dry_run, seen.states) == (2, True, {4: "new", 5: "new"})
    done = imports.bring_in("customers", OWN, answers=answers, principal=ADMIN, now=NOW)
    assert (done.added, done.changed, done.ok) == (2, 0, True)
    again = imports.bring_in("customers", OWN, answers=answers, principal=ADMIN, now=NOW)
    assert (again.added, again.unchanged) == (0, 2)


def test_what_is_meant_may_be_said_otherwise_later(imports: FileImports) -> None:
    for kunde in ("email", "name"):
        chosen = {"account_no": "Konto", kunde: "Kunde"}
        imports.remember("customers", chosen, headings=["Konto", "Kunde"], principal=ADMIN)
    assert imports.look("customers", OWN, principal=ADMIN).missing == ()
    assert imports.look("readings", OWN, principal=ADMIN).fields == (None, None, None)


def test_an_unreadable_file_is_refused_with_a_sentence(imports: FileImports) -> None:
    for content in (b"", b"PK\x03\x04", b"\xd0\xcf\x11\xe0"):
        with pytest.raises(UnreadableFile):
            imports.look("customers", content, principal=ADMIN)


@pytest.mark.parametrize("kind", COLUMNS_OF)
def test_a_template_has_every_column_and_is_read_as_it_is(
    imports: FileImports,
    kind: str,
) -> None:
    columns = COLUMNS_OF[kind]  # type: ignore[index]
    names = (*columns.required, *columns.optional)
    for file_kind in ("csv", "xlsx"):
        content = imports.template(kind, file_kind, principal=ADMIN)  # type: ignore[arg-type]
        look = imports.look(kind, content, principal=ADMIN)  # type: ignore[arg-type]
        assert look.fields == names
        assert look.rows == ()
        assert zipfile.is_zipfile(io.BytesIO(content)) == (file_kind == "xlsx")


def test_what_is_wrong_is_a_file_in_the_language_of_who_asks_for_it(imports: FileImports) -> None:
    problems = [
        ImportProblem(7, "name", sentence("is empty: fill it in.")),
        # As the database says it.
        ImportProblem(8, "tariff_code", "No tariff has the code X-1."),
    ]
    content = imports.problems_file(problems, principal=ADMIN, language=Language.of("fr"))
    assert content.decode("utf-8-sig").splitlines() == [
        "ligne,colonne,probleme",
        "7,name,est vide : remplissez.",
        "8,tariff_code,Aucun tarif n’a le code X-1.",
    ]


def test_all_that_is_wrong_is_a_file_too(imports: FileImports) -> None:
    content = imports.problems_file(
        [ImportProblem(7, "name", "is empty: fill it in."), ImportProblem(None, "", "=1+1")],
        principal=ADMIN,
    )
    assert content.decode("utf-8-sig").splitlines() == [
        "row,column,what_is_wrong",
        "7,name,is empty: fill it in.",
        ",,'=1+1",
    ]
