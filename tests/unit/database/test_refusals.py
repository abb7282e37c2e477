"""What is marked of the database's sentences are those that its functions say."""

import pytest

from services.database.refusals import OUTCOMES, REFUSALS
from services.languages.language import Language
from services.settings import PROJECT_FOLDER

SCHEMAS = "".join(
    path.read_text(encoding="utf-8")
    for path in sorted((PROJECT_FOLDER / "supabase" / "schemas").glob("*.sql"))
)


@pytest.mark.parametrize("text", [*REFUSALS, *OUTCOMES])
def test_the_database_says_it_in_these_words(text: str) -> None:
    written = text.replace("'", "''")
    assert f"'{written}'" in SCHEMAS


def test_a_refusal_is_said_in_the_language_of_its_reader() -> None:
    error = ValueError(REFUSALS[0])
    assert Language.of("es").say(error) != str(error)
