"""A photo of a meter, made again from its pixels: nothing else of the file that came is kept."""

import hashlib
import io
import threading
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageOps, UnidentifiedImageError

from services.languages.sentence import N_, Sentence, sentence

MOST_BYTES: Final = 10 * 1024 * 1024
# More than a phone's camera takes unless it is set to; a file of a few kB may claim far more.
MOST_PIXELS: Final = 24_000_000
# Enough to read a dial.
LONGEST_SIDE: Final = 1600
_QUALITY: Final = 80
# Each may take 100 MB while it is decoded.
_DECODED_AT_ONCE: Final = threading.BoundedSemaphore(2)
_FORMATS: Final = ("JPEG", "PNG", "WEBP")
_WHAT_TO_DO: Final = N_("Take another photo; the reading can be sent without one.")


class InvalidPhoto(ValueError):
    """A file cannot be the photo of a meter; the sentence says what to do instead."""


@dataclass(frozen=True, slots=True)
class DialPhoto:
    """A JPEG without any data beside its pixels, and its SHA-256 in hex."""

    sha256: str
    jpeg: bytes
    width: int
    height: int


def dial_photo(content: bytes) -> DialPhoto:
    """The photo in a JPEG, PNG or WebP file, upright, at most 1600 pixels long.

    What it is, its bytes say, and not its name. Place, time and camera that the file may name are
    left behind. Raises InvalidPhoto for anything else, and for more than 10 MB or 24 million
    pixels, which are refused before anything is decoded.
    """
    if not content:
        raise _refused(sentence("The photo is empty."))
    if len(content) > MOST_BYTES:
        raise _refused(sentence("The photo is larger than 10 MB."))
    try:
        # Only these decoders ever see the bytes.
        with (
            _DECODED_AT_ONCE,
            Image.open(io.BytesIO(content), formats=_FORMATS) as opened,
        ):
            small = _small(opened)
    except UnidentifiedImageError:
        raise _refused(sentence("This file is no JPEG, PNG or WebP photo.")) from None
    except InvalidPhoto:
        raise
    except Image.DecompressionBombError:
        raise _too_many_pixels() from None
    except Exception:  # A stranger's file may break a decoder in any way there is.
        raise _refused(sentence("This photo is damaged.")) from None
    return _written(small)


def _small(opened: Image.Image) -> Image.Image:
    if opened.width * opened.height > MOST_PIXELS:
        raise _too_many_pixels()
    # A JPEG can be decoded smaller at once, which spares most of the memory.
    opened.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))
    upright = ImageOps.exif_transpose(opened).convert("RGB")
    upright.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    # A new image: what the file said beside its pixels stays behind.
    made = Image.new("RGB", upright.size)
    made.paste(upright)
    return made


def _written(image: Image.Image) -> DialPhoto:
    written = io.BytesIO()
    image.save(written, "JPEG", quality=_QUALITY, optimize=True)
    jpeg = written.getvalue()
    return DialPhoto(hashlib.sha256(jpeg).hexdigest(), jpeg, image.width, image.height)


def _refused(why: Sentence) -> InvalidPhoto:
    return InvalidPhoto(sentence("{problem} {advice}", problem=why, advice=sentence(_WHAT_TO_DO)))


def _too_many_pixels() -> InvalidPhoto:
    return _refused(sentence("The photo has more than 24 million pixels."))
