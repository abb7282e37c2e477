"""A logo, made again from its pixels: nothing else of the file that was uploaded is kept."""

import hashlib
import io
from pathlib import PurePath
from typing import Final

from PIL import Image, ImageOps, UnidentifiedImageError

from services.database.queries.utility_settings import Logo
from services.languages.sentence import sentence

MOST_BYTES: Final = 2 * 1024 * 1024
MOST_PIXELS: Final = 16_000_000
# As sharp as a bill prints it, and no larger than each page should load.
MOST_WIDTH: Final = 720
MOST_HEIGHT: Final = 240
_FORMATS: Final = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
_KINDS: Final = ("PNG", "JPEG")


class InvalidLogo(ValueError):
    """A file cannot be the logo; the sentence says what to do instead."""


def logo_from(content: bytes, *, file_name: str) -> Logo:
    """The logo of an uploaded PNG or JPEG, as a PNG of at most 720 × 240 pixels.

    Raises InvalidLogo for anything else: another kind of file, one that is not what its name says,
    is damaged, or has more than 2 MB or 16 million pixels.
    """
    expected = _expected(content, file_name)
    try:
        # Only these two decoders ever see the bytes.
        with Image.open(io.BytesIO(content), formats=list(_KINDS)) as opened:
            _check(opened, expected)
            image = _small(opened)
    except UnidentifiedImageError:
        raise InvalidLogo(
            sentence(
                "This file is not a {kind} image. Save it as PNG or JPEG and upload that.",
                kind=expected,
            )
        ) from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, InvalidLogo):
            raise
        raise InvalidLogo(
            sentence("This image is damaged. Save it as PNG or JPEG and upload that.")
        ) from None
    written = io.BytesIO()
    image.save(written, "PNG", optimize=True)
    made = written.getvalue()
    return Logo(hashlib.sha256(made).hexdigest(), made)


def _expected(content: bytes, file_name: str) -> str:
    suffix = PurePath(file_name).suffix.lower()
    if suffix in {".svg", ".svgz"}:
        raise InvalidLogo(
            sentence(
                "An SVG may hold scripts, so it is not taken. Save it as PNG or JPEG and upload "
                "that."
            )
        )
    if suffix not in _FORMATS:
        raise InvalidLogo(
            sentence("A logo is a PNG or JPEG file. Save it as PNG or JPEG and upload that.")
        )
    if len(content) > MOST_BYTES:
        raise InvalidLogo(
            sentence("The file is larger than 2 MB. Make the image smaller and try again.")
        )
    return _FORMATS[suffix]


def _check(image: Image.Image, expected: str) -> None:
    """Before anything is decoded: the header alone says what it is and how large."""
    # A camera's JPEG may hold further pictures, which Pillow calls MPO; the first one counts.
    kind = "JPEG" if image.format == "MPO" else image.format or ""
    if kind != expected:
        raise InvalidLogo(
            sentence(
                "This is a {kind} image, and its name says a {expected}. Rename the file.",
                kind=kind,
                expected=expected,
            )
        )
    if image.width * image.height > MOST_PIXELS:
        raise InvalidLogo(sentence("The image has more than 16 million pixels. Make it smaller."))


def _small(image: Image.Image) -> Image.Image:
    """The first picture of the file, upright, in plain colours, no larger than it is shown."""
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):
        # Greys of 16 bits, which `convert` would cut off at white.
        upright = upright.convert("I").point(lambda grey: grey * (1 / 256)).convert("L")
    has_alpha = upright.mode in {"RGBA", "LA", "PA"} or "transparency" in upright.info
    plain = upright.convert("RGBA" if has_alpha else "RGB")
    plain.thumbnail((MOST_WIDTH, MOST_HEIGHT), Image.Resampling.LANCZOS)
    # A new image: what the file said beside its pixels stays behind.
    made = Image.new(plain.mode, plain.size)
    made.paste(plain)
    return made
