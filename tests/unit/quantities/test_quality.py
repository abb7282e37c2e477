"""Each quality code has its words, and is measured, estimated or neither, never both."""

from services.quantities.quality import Quality


def test_each_code_has_words_of_its_own() -> None:
    words = [quality.words for quality in Quality]
    assert len(set(words)) == len(words)


def test_no_code_is_both_actual_and_estimated() -> None:
    assert not [quality for quality in Quality if quality.is_actual and quality.is_estimated]


def test_a_substituted_value_is_neither() -> None:
    for code in (7, 10, 16):
        assert not Quality(code).is_actual
        assert not Quality(code).is_estimated
