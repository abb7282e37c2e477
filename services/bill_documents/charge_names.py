"""What tariffs call their charges in the languages of customers, looked up and kept for a while.

A version never changes, but new ones come: what is kept is asked for again after some minutes.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from services.bill_documents.line_names import ChargeName
from services.database.service import DatabaseService
from services.languages.language import Language
from services.records.bills import Bill
from services.tariffs import Tariff

_KEPT_SECONDS: Final = 300
_MOST_KEPT: Final = 500
# By language; a charge that was renamed from one version to the next has a name for each.
_Names = dict[str, tuple[ChargeName, ...]]


@dataclass
class ChargeNames:
    """Looks names of charges up; may be asked by many threads."""

    database: DatabaseService
    clock: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _kept: OrderedDict[str, tuple[float, _Names]] = field(default_factory=OrderedDict, repr=False)

    def of(self, bill: Bill, language: str) -> tuple[ChargeName, ...]:
        """The names that the tariff of a bill has in a language (an IETF tag)."""
        code, tag = bill.tariff_code, Language.of_documents(language).tag
        with self._lock:
            until, names = self._kept.get(code, (0.0, {}))
        if self.clock() >= until:
            names = self._look_up(code)
        return names.get(tag, ())

    def _look_up(self, code: str) -> _Names:
        versions = self.database.published_versions(code=code)
        names = names_of([version.tariff for version in versions])
        with self._lock:
            self._kept[code] = (self.clock() + _KEPT_SECONDS, names)
            self._kept.move_to_end(code)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return names


def names_of(versions: list[Tariff]) -> _Names:
    """The names of all charges by language, those of the first version before the others'."""
    found: dict[str, dict[tuple[str, str], ChargeName]] = {}
    for tariff in versions:
        for charge in tariff.charges:
            for tag, name in (charge.names or {}).items():
                of_tag = found.setdefault(tag, {})
                key = (charge.code, charge.description)
                of_tag.setdefault(key, ChargeName(charge.code, charge.description, name))
    return {tag: tuple(by_key.values()) for tag, by_key in found.items()}
