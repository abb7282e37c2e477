"""The addresses below /my: a customer's own page."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flask import Flask, Response

from services.container import Services
from services.people.customer_links import PATH
from services.web.my.asked import AskedRoutes
from services.web.my.entry import EntryRoutes
from services.web.my.paying import PayingRoutes
from services.web.my.shown import ShownRoutes
from services.web.my.site import NOT_THERE, Site


@dataclass(frozen=True)
class CustomerPageRoutes:
    """All of a customer's page; `clock` gives the present in UTC."""

    services: Services
    clock: Callable[[], datetime]

    def add_to(self, app: Flask) -> None:
        """Add the addresses to the app."""
        site = Site(self.services, self.clock)
        for routes in (EntryRoutes(site), ShownRoutes(site), AskedRoutes(site), PayingRoutes(site)):
            routes.add_to(app)

        def nothing(**_: str) -> Response:
            return site.page("message.html", "Not found", NOT_THERE)

        site.add(app, f"{PATH}/<path:rest>", nothing)
