"""What the round's page asks: its files, the routes, their meters, and what could not be read."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flask import Flask, Response, jsonify, request

from services.container import Services
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.language import Language
from services.readings.round import parse_visit
from services.readings.round_file import round_file
from services.web.body import UnusableBody, read_bytes, read_json_object
from services.web.own_page import page_token, session_asking
from services.web.round import files_served
from services.web.round.answers import meters_json, routes_json, start_json, visit_json
from services.web.round.files_served import PATH, ServedFile

_LONGEST_NAME = 200
_FILES = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@dataclass(frozen=True)
class RoundRoutes:
    """The page's endpoints; `who` finds out who asks, and raises NotSignedIn or NotAllowed."""

    services: Services
    clock: Callable[[], datetime]
    who: Callable[[datetime], Principal]

    def add_to(self, app: Flask) -> None:
        """Add the endpoints to the app."""
        app.add_url_rule(PATH, view_func=self.page)
        app.add_url_rule(f"{PATH}/manifest.webmanifest", view_func=self.manifest)
        app.add_url_rule(f"{PATH}/start", view_func=self.start)
        app.add_url_rule(f"{PATH}/routes", view_func=self.routes)
        app.add_url_rule(f"{PATH}/meters", view_func=self.meters)
        app.add_url_rule(f"{PATH}/file/<kind>", view_func=self.route_file)
        app.add_url_rule(f"{PATH}/missed", view_func=self.missed, methods=["POST"])
        app.add_url_rule(f"{PATH}/photos/<key>", view_func=self.keep_photo, methods=["PUT"])
        app.add_url_rule(f"{PATH}/photos/<photo_id>", view_func=self.photo)
        app.add_url_rule(f"{PATH}/<name>", view_func=self.file)

    def page(self) -> Response:
        """GET /round: the shell, which holds nothing of anybody."""
        return _answer(files_served.page(self.services.settings.utility_name, self._browsers()))

    def manifest(self) -> Response:
        """GET /round/manifest.webmanifest."""
        utility = self.services.settings.utility_name
        return _answer(files_served.manifest(utility, self._browsers()))

    def file(self, name: str) -> Response:
        """GET /round/<name>: a script, a style or an icon."""
        found = files_served.file(name)
        return _answer(found) if found else Response(status=404)

    def start(self) -> Response:
        """GET /round/start: who is signed in, and the first routes."""
        now = self.clock()
        principal = self._reader(now)
        routes = self.services.reading_round.routes(principal=principal, now=now)
        token = page_token(session_asking(request) or "")
        language = self._language(principal)
        start = start_json(
            user=principal.user, token=token, now=now, routes=routes, language=language
        )
        return jsonify(start)

    def routes(self) -> Response:
        """GET /round/routes?after: further routes."""
        now = self.clock()
        found = self.services.reading_round.routes(
            principal=self._reader(now), now=now, after=_name("after")
        )
        return jsonify(routes_json(found))

    def meters(self) -> Response:
        """GET /round/meters?route&after_sequence&after_code."""
        now = self.clock()
        principal = self._reader(now)
        page = self.services.reading_round.meters(
            route=_name("route") or "", principal=principal, now=now, after=_after()
        )
        return jsonify(meters_json(page, self._language(principal)))

    def route_file(self, kind: str) -> Response:
        """GET /round/file/csv or xlsx?route: a route for a device of others."""
        now = self.clock()
        principal, route = self._reader(now), _name("route") or ""
        if kind not in _FILES:
            return Response(status=404)
        meters = self.services.reading_round.all_meters(route=route, principal=principal, now=now)
        name = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in route)
        headers = {"Content-Disposition": f'attachment; filename="round-{name}.{kind}"'}
        content = round_file(meters, "csv" if kind == "csv" else "xlsx")
        return Response(content, mimetype=_FILES[kind], headers=headers)

    def missed(self) -> Response:
        """POST /round/missed {id, meter_serial, missed_at, reason, note?}."""
        now = self.clock()
        principal = self._reader(now)
        visit = parse_visit(read_json_object(request), now=now)
        return jsonify(
            visit_json(self.services.reading_round.miss(visit=visit, principal=principal))
        )

    def keep_photo(self, key: str) -> Response:
        """PUT /round/photos/<key>?meter=SERIAL: a photo, before what is sent under the key."""
        principal = self._reader(self.clock())
        kept = self.services.meter_photos.keep(
            content=read_bytes(request),
            key=key,
            meter_serial=_name("meter") or "",
            principal=principal,
        )
        return jsonify({"id": kept.id, "width": kept.width, "height": kept.height})

    def photo(self, photo_id: str) -> Response:
        """GET /round/photos/<id>: the picture, for the office and for who took it."""
        principal = self.who(self.clock())
        jpeg = self.services.meter_photos.jpeg(photo_id=photo_id, principal=principal)
        return Response(jpeg, mimetype="image/jpeg", headers={"Cache-Control": "private, no-cache"})

    def _language(self, principal: Principal) -> Language:
        return self.services.user_languages.of(
            principal, accept_language=request.headers.get("Accept-Language", "")
        )

    def _browsers(self) -> Language:
        header = request.headers.get("Accept-Language", "")
        return self.services.user_languages.of_browser(header)

    def _reader(self, now: datetime) -> Principal:
        return require(self.who(now), Permission.SUBMIT_READINGS)


def _answer(file: ServedFile) -> Response:
    answer = Response(file.content, mimetype=file.mimetype, headers=dict(file.headers))
    answer.add_etag()
    answer.make_conditional(request)
    return answer


def _name(parameter: str) -> str | None:
    text = request.args.get(parameter)
    if text is not None and (len(text) > _LONGEST_NAME or not text.isprintable()):
        raise UnusableBody(f"{parameter} must be a name of at most 200 characters.")
    return text


def _after() -> tuple[int, str] | None:
    sequence, code = request.args.get("after_sequence"), _name("after_code")
    if sequence is None and code is None:
        return None
    if sequence is None or code is None or not (sequence.isdecimal() and len(sequence) <= 10):
        raise UnusableBody("after_sequence and after_code are those that the last answer named.")
    return int(sequence), code
