"""The forms by which people sign in and set a password, as HTML that needs no script."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flask import Response
from jinja2 import Environment, FileSystemLoader

from services.languages.language import Language

_FOLDER: Final = Path(__file__).parent / "files"
_TYPES: Final = {"sign-in.css": "text/css", "show-password.js": "text/javascript"}
# Its own style and script and nothing else; what is typed goes to this site alone.
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_templates = Environment(
    loader=FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True
)


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence above a form; a `problem` comes with the status of a refusal."""

    text: str = ""
    status: int = 200
    # Seconds after which trying again makes sense.
    retry_after: int | None = None


def page(
    template: str, language: Language, *, title: str, utility: str, said: Said, **values: object
) -> Response:
    """One of the pages in a language; nobody keeps it."""
    text = _templates.get_template(template).render(
        language=language,
        _=language.gettext,
        title=language.gettext(title),
        utility=utility,
        said=language.say(said.text),
        problem=said.status >= 400,
        **values,
    )
    answer = Response(text, status=said.status, mimetype="text/html")
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Content-Language"] = language.tag
    answer.headers["Content-Security-Policy"] = _POLICY
    # A link's code stands in the address.
    answer.headers["Referrer-Policy"] = "same-origin"
    if said.retry_after is not None:
        answer.headers["Retry-After"] = str(said.retry_after)
    return answer


def file(name: str) -> Response:
    """A style or a script."""
    if name not in _TYPES:
        return Response(status=404)
    answer = Response((_FOLDER / name).read_bytes(), mimetype=_TYPES[name])
    answer.headers["Cache-Control"] = "no-cache"
    answer.add_etag()
    return answer
