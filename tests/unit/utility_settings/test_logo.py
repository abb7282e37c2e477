"""What may be a logo, and that nothing of a file but its pixels is kept."""

import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from services.utility_settings.logo import InvalidLogo, logo_from

TEAL = (11, 85, 99)
SCRIPT = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def drawn(kind: str, size: tuple[int, int] = (300, 100), mode: str = "RGB", **how: Any) -> bytes:
    written = io.BytesIO()
    color = TEAL if mode == "RGB" else 0
    Image.new(mode, size, color).save(written, kind, **how)
    return written.getvalue()


def refusal(content: bytes, name: str = "logo.png") -> str:
    with pytest.raises(InvalidLogo) as refused:
        logo_from(content, file_name=name)
    return str(refused.value)


@pytest.mark.parametrize(
    ("kind", "name"), [("PNG", "a.png"), ("JPEG", "a.jpg"), ("JPEG", "A.JPEG")]
)
def test_a_png_and_a_jpeg_become_a_png_of_the_same_picture(kind: str, name: str) -> None:
    made = Image.open(io.BytesIO(logo_from(drawn(kind), file_name=name).image))
    assert (made.format, made.size, made.mode) == ("PNG", (300, 100), "RGB")
    pixel = made.getpixel((150, 50))
    assert isinstance(pixel, tuple)
    assert all(abs(a - b) < 4 for a, b in zip(pixel, TEAL, strict=True))


def test_a_large_picture_is_made_as_small_as_it_is_shown() -> None:
    made = Image.open(io.BytesIO(logo_from(drawn("PNG", (3000, 500)), file_name="l.png").image))
    assert made.size == (720, 120)


def test_what_is_see_through_stays_so() -> None:
    made = logo_from(drawn("PNG", mode="RGBA"), file_name="logo.png")
    assert Image.open(io.BytesIO(made.image)).mode == "RGBA"


def test_neither_metadata_nor_what_trails_behind_is_kept() -> None:
    about = PngImagePlugin.PngInfo()
    about.add_text("Comment", "taken at home")
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    for content, name in (
        (drawn("PNG", pnginfo=about) + b"PK\x03\x04 hidden", "logo.png"),
        (drawn("JPEG", exif=exif, comment=b"taken at home") + b"<script>hidden", "logo.jpg"),
        (drawn("JPEG", icc_profile=b"a profile from home") + b"hidden", "logo.jpg"),
    ):
        assert b"home" in content
        made = logo_from(content, file_name=name).image
        assert b"home" not in made
        assert b"hidden" not in made
        assert Image.open(io.BytesIO(made)).info == {}


def test_a_photo_stands_upright_as_its_camera_meant_it() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    made = logo_from(drawn("JPEG", (200, 100), exif=exif), file_name="logo.jpg").image
    assert Image.open(io.BytesIO(made)).size == (100, 200)


def pixel_of(content: bytes, name: str) -> Any:
    made = Image.open(io.BytesIO(logo_from(content, file_name=name).image))
    return made.getpixel((5, 5))


def test_every_way_to_keep_colours_comes_out_as_it_looks() -> None:
    palette = Image.new("P", (30, 10), 0)
    palette.putpalette([200, 0, 0] * 256)
    for image, how, expected in (
        (Image.new("I;16", (30, 10), 30_000), {}, (117, 117, 117)),
        (Image.new("L", (30, 10), 117), {}, (117, 117, 117)),
        (Image.new("LA", (30, 10), (117, 50)), {}, (117, 117, 117, 50)),
        (palette, {}, (200, 0, 0)),
        (palette, {"transparency": 0}, (200, 0, 0, 0)),
    ):
        written = io.BytesIO()
        image.save(written, "PNG", **how)
        assert pixel_of(written.getvalue(), "logo.png") == expected
    assert pixel_of(drawn("JPEG", mode="CMYK"), "logo.jpg") == (255, 255, 255)


def test_of_several_pictures_in_one_file_the_first_is_taken() -> None:
    first, second = Image.new("RGB", (30, 10), "red"), Image.new("RGB", (30, 10), "blue")
    for kind, name in (("PNG", "logo.png"), ("MPO", "logo.jpg")):
        written = io.BytesIO()
        first.save(written, kind, save_all=True, append_images=[second])
        red, green, blue = pixel_of(written.getvalue(), name)
        assert red > 250
        assert max(green, blue) < 5


def test_the_same_picture_has_the_same_name() -> None:
    assert logo_from(drawn("PNG"), file_name="a.png") == logo_from(drawn("PNG"), file_name="b.png")


def test_an_svg_is_refused_with_what_to_do() -> None:
    assert "scripts" in refusal(SCRIPT, "logo.svg")
    assert "PNG or JPEG" in refusal(SCRIPT, "logo.SVG")
    assert "not a PNG" in refusal(SCRIPT, "logo.png")


def test_a_file_that_is_too_large_is_refused_unread() -> None:
    assert "larger than 2 MB" in refusal(b"\x89PNG\r\n\x1a\n" + bytes(30 * 1024 * 1024))


def test_a_file_that_is_not_what_its_name_says_is_refused() -> None:
    assert "This is a JPEG image, and its name says a PNG" in refusal(drawn("JPEG"), "logo.png")
    assert "This is a PNG image, and its name says a JPEG" in refusal(drawn("PNG"), "logo.jpg")
    assert "not a PNG image" in refusal(drawn("GIF"), "logo.png")
    assert "PNG or JPEG" in refusal(drawn("PNG"), "logo.exe")
    assert "not a PNG image" in refusal(b"", "logo.png")


def test_a_bomb_is_refused_by_its_header() -> None:
    # 50,000 × 50,000 black pixels in a few bytes.
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    bomb += chunk(b"IDAT", zlib.compress(bytes(100_000))) + chunk(b"IEND", b"")
    assert refusal(bomb)
    assert "16 million pixels" in refusal(drawn("PNG", (5000, 4000), mode="1"))


def test_a_damaged_image_is_refused() -> None:
    whole = drawn("PNG", (300, 300))
    assert "damaged" in refusal(whole[: len(whole) // 2])
    assert "damaged" in refusal(drawn("JPEG", (300, 300))[:400], "logo.jpg")


def chunk(kind: bytes, data: bytes) -> bytes:
    sum_ = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", sum_)
