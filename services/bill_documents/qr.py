"""A payment link as a QR code, for a bill on paper and on the screen."""

import io
from typing import Final

import segno

# A quiet zone of four modules around the code, as its standard wants.
_BORDER: Final = 4


def qr_svg(link: str, *, scale: int = 4) -> bytes:
    """An SVG document, `scale` units a module."""
    return _drawn(link, kind="svg", scale=scale)


def qr_png(link: str, *, scale: int = 6) -> bytes:
    """A PNG image, `scale` pixels a module."""
    return _drawn(link, kind="png", scale=scale)


def _drawn(link: str, *, kind: str, scale: int) -> bytes:
    out = io.BytesIO()
    # Not a Micro QR code, which many telephones do not read; M survives a fold or a stain.
    segno.make_qr(link, error="m").save(out, kind=kind, scale=scale, border=_BORDER, light="white")
    return out.getvalue()
