"""The lines of a text come out the same whatever its size, encoding and line ends."""

import csv
import io

import pytest

from services.importing import source
from services.importing.source import UnreadableFile, lines_of, read_lines


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
def test_lines_are_those_of_the_whole_text(
    end: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_AT_ONCE", size)
    text = end.join(["a,b", '"two', 'lines",1', "", "é,٣", "last"])
    whole = list(csv.reader(io.StringIO(text, newline="")))
    assert list(csv.reader(lines_of(text))) == whole
    assert list(csv.reader(read_lines(text.encode()).walk())) == whole


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_text_is_walked_through_as_often_as_asked(encoding: str) -> None:
    lines = read_lines("name\nमीटर\n".encode(encoding))
    assert list(lines.walk()) == list(lines.walk()) == ["name\n", "मीटर\n"]
    assert lines.head == "name\nमीटर\n"


def test_a_letter_cut_by_the_end_of_a_piece_is_one_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_AT_ONCE", 2)
    assert list(read_lines("éé€\n".encode()).walk()) == ["éé€\n"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"a\nb\nc\xff\n", "Line 3 is not UTF-8 text"),
        ("a\nb€".encode()[:-1], "Line 2 is not UTF-8 text"),
        (b"a\nb\0\n", "Line 2 holds a NUL byte"),
        (b"\xef\xbb\xbf \n", "The file is empty."),
        (b"", "The file is empty."),
    ],
)
def test_what_is_no_text_is_refused_with_its_line(data: bytes, why: str) -> None:
    with pytest.raises(UnreadableFile) as refused:
        read_lines(data)
    assert why in str(refused.value.problem.message)
