"""What a customer's browser keeps, and the proof that a form which it sends is one of ours.

Pages send no referrer, so a form's Origin may be "null"; each form therefore holds a token that
only a page of this site could read: of the visit, and before there is one of a cookie of its own.
"""

import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import Final

from flask import Request, Response

SESSION: Final = "my_visit"
DEVICE: Final = "my_device"
LANGUAGE: Final = "my_language"
_FORM: Final = "my_form"
_PATH: Final = "/my"
_DEVICE_LIFETIME: Final = timedelta(days=400)
_PURPOSE: Final = b"forms of a customer's page"
FIELD: Final = "token"
_LONGEST: Final = 100


def form_token(request: Request, answer_cookies: dict[str, str]) -> str:
    """The token for the forms of a page; a cookie that it needs is added to those of the answer."""
    secret = request.cookies.get(SESSION) or request.cookies.get(_FORM) or ""
    if not 0 < len(secret) <= _LONGEST:
        secret = answer_cookies.setdefault(_FORM, secrets.token_urlsafe(32))
    return _token(secret)


def is_our_form(request: Request) -> bool:
    """Whether a form was sent by one of our own pages in this browser."""
    site = request.headers.get("Sec-Fetch-Site")
    if site not in {None, "same-origin"}:
        return False
    shown = request.form.get(FIELD, "")[:_LONGEST].encode("utf-8", "surrogatepass")
    kept = (request.cookies.get(name, "") for name in (SESSION, _FORM))
    # A visit may have ended, or begun in another tab, since the form was drawn.
    secrets_kept = [secret for secret in kept if 0 < len(secret) <= _LONGEST]
    return any(hmac.compare_digest(shown, _token(secret).encode()) for secret in secrets_kept)


def keep(answer: Response, request: Request, name: str, value: str, seconds: int | None) -> None:
    """Set a cookie that no script reads and no other site's form takes along."""
    answer.set_cookie(
        name,
        value,
        max_age=seconds,
        path=_PATH,
        secure=request.is_secure,
        httponly=True,
        samesite="Lax",
    )


def keep_visit(answer: Response, request: Request, token: str, lifetime: timedelta) -> None:
    """Let the browser hold a visit."""
    keep(answer, request, SESSION, token, int(lifetime.total_seconds()))


def keep_device(answer: Response, request: Request, mark: str) -> None:
    """Let the browser be known from now on."""
    keep(answer, request, DEVICE, mark, int(_DEVICE_LIFETIME.total_seconds()))


def keep_language(answer: Response, request: Request, tag: str) -> None:
    """Let the browser hold the language that was chosen in it."""
    keep(answer, request, LANGUAGE, tag, int(_DEVICE_LIFETIME.total_seconds()))


def forget_visit(answer: Response, request: Request) -> None:
    """Take the visit's cookie away."""
    keep(answer, request, SESSION, "", 0)


def _token(secret: str) -> str:
    return hmac.new(secret.encode("utf-8", "surrogatepass"), _PURPOSE, hashlib.sha256).hexdigest()
