"""A photo is kept as its pixels and nothing else; what is no photo is refused with a sentence."""

import io
import struct
import zlib

import pytest
from PIL import Image

from services.readings.dial_photo import LONGEST_SIDE, MOST_BYTES, InvalidPhoto, dial_photo

_GPS, _ORIENTATION, _MAKE = 0x8825, 0x0112, 0x010F
_SCRIPT = b"<script>alert(1)</script>"


def photo(size: tuple[int, int] = (64, 48), kind: str = "JPEG", **how: object) -> bytes:
    """A file with a red left half and a white right one."""
    image = Image.new("RGB", size, "white")
    image.paste((200, 0, 0), (0, 0, size[0] // 2, size[1]))
    written = io.BytesIO()
    image.save(written, kind, **how)
    return written.getvalue()


def test_where_and_with_what_it_was_taken_is_left_behind() -> None:
    exif = Image.Exif()
    exif[_MAKE] = "Some camera"
    exif[_GPS] = {1: "N", 2: (10.0, 31.0, 0.0), 3: "E", 4: (76.0, 12.0, 0.0)}
    content = photo(exif=exif, comment=b"at home", icc_profile=b"profile")
    assert b"Some camera" in content
    kept = dial_photo(content)
    assert b"Some camera" not in kept.jpeg
    with Image.open(io.BytesIO(kept.jpeg)) as image:
        assert (image.format, dict(image.getexif())) == ("JPEG", {})
        assert not {"exif", "comment", "icc_profile"} & image.info.keys()


def test_a_photo_that_was_held_sideways_stands_upright() -> None:
    exif = Image.Exif()
    exif[_ORIENTATION] = 6
    kept = dial_photo(photo((64, 48), exif=exif))
    assert (kept.width, kept.height) == (48, 64)
    with Image.open(io.BytesIO(kept.jpeg)) as image:
        top = image.getpixel((24, 8))
    assert isinstance(top, tuple)
    assert top[0] > 150 > top[1]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_it_becomes_a_small_jpeg_and_the_same_file_the_same_one(kind: str) -> None:
    content = photo((3200, 2400), kind)
    kept = dial_photo(content)
    assert (kept.width, kept.height) == (LONGEST_SIDE, 1200)
    assert kept.jpeg.startswith(b"\xff\xd8\xff")
    assert dial_photo(content) == kept


def test_a_script_behind_a_photo_is_left_behind() -> None:
    assert _SCRIPT not in dial_photo(photo() + _SCRIPT).jpeg


@pytest.mark.parametrize(
    "content",
    [
        b"<?php system($_GET['c']); ?>",
        b"<!doctype html>" + _SCRIPT,
        b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        b"GIF89a" + _SCRIPT,
        photo(kind="GIF"),
        photo(kind="TIFF"),
        b"%PDF-1.7",
        b"MZ\x90\x00",
    ],
)
def test_a_script_that_says_it_is_a_photo_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidPhoto, match="no JPEG, PNG or WebP"):
        dial_photo(content)


@pytest.mark.parametrize(
    "content",
    [b"\xff\xd8\xff\xe0" + _SCRIPT, photo()[:300], photo(kind="PNG")[:60], b"\x89PNG\r\n\x1a\n"],
)
def test_a_damaged_photo_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidPhoto, match=r"damaged|no JPEG"):
        dial_photo(content)


def test_few_bytes_that_would_become_forty_million_pixels_are_refused() -> None:
    with pytest.raises(InvalidPhoto, match="24 million pixels"):
        dial_photo(_bomb(8000, 5000))
    with pytest.raises(InvalidPhoto, match="24 million pixels"):
        dial_photo(_bomb(60_000, 60_000))


def test_nothing_and_too_much_are_refused() -> None:
    with pytest.raises(InvalidPhoto, match="empty"):
        dial_photo(b"")
    with pytest.raises(InvalidPhoto, match="larger than 10 MB"):
        dial_photo(photo() + bytes(MOST_BYTES))


def _bomb(width: int, height: int) -> bytes:
    """A PNG of a few kB that says how large it is, all of it black."""
    row = zlib.compress(bytes(1 + width // 8) * min(height, 1000))
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", row), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
