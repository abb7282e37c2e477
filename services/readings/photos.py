"""Photos of meters: taken on the round or at the form, and seen by the office."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from services.database.errors import NotFound
from services.database.service import DatabaseService
from services.identity.auth import NotAllowed, Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import sentence
from services.readings.dial_photo import InvalidPhoto, dial_photo
from services.records.submissions import MeterPhoto

_MOST_SHOWN: Final = 20


class PhotoDamaged(Exception):
    """A kept photo is not what its hash says."""


@dataclass(frozen=True, slots=True)
class MeterPhotos:
    """Keeps photos and shows them; each method raises NotAllowed for who may not ask it.

    A photo comes before what it belongs to, under the key that the reading or the missed read is
    sent with. Administrators see all photos, who reads meters their own.
    """

    database: DatabaseService

    def keep(
        self, *, content: bytes, key: str, meter_serial: str, principal: Principal
    ) -> MeterPhoto:
        """Keep the photo of a file, encoded again; a repeat is answered with the first.

        `key` is a UUID. Raises InvalidPhoto, NotFound, IdempotencyKeyReused.
        """
        require(principal, Permission.SUBMIT_READINGS)
        try:
            key = str(UUID(key))
        except ValueError:
            raise InvalidPhoto("The key of a photo must be a UUID.") from None
        photo = dial_photo(content)
        return self.database.keep_photo(
            actor=principal.user,
            key=key,
            meter_serial=meter_serial,
            sha256=photo.sha256,
            size=(photo.width, photo.height),
            jpeg=photo.jpeg,
        )

    def of_reading(self, *, reading_id: str, principal: Principal) -> Sequence[MeterPhoto]:
        """The photos that were sent with a reading, the newest first."""
        require(principal, Permission.VIEW_READINGS, Permission.SUBMIT_READINGS)
        found = self.database.photos_of(reading_id=reading_id, limit=_MOST_SHOWN)
        return [photo for photo in found if _may_see(photo, principal)]

    def of_meter(
        self, *, meter_id: str, principal: Principal, limit: int = _MOST_SHOWN
    ) -> Sequence[MeterPhoto]:
        """The photos of a meter's readings and missed reads, the newest first."""
        require(principal, Permission.VIEW_READINGS)
        return self.database.photos_of(meter_id=meter_id, limit=limit)

    def jpeg(self, *, photo_id: str, principal: Principal) -> bytes:
        """The picture of a photo; raises NotFound, PhotoDamaged."""
        require(principal, Permission.VIEW_READINGS, Permission.SUBMIT_READINGS)
        return self.content(self.database.photo(photo_id), principal=principal)

    def content(self, photo: MeterPhoto, *, principal: Principal) -> bytes:
        """The picture of a photo that was looked up; raises NotFound, PhotoDamaged."""
        require(principal, Permission.VIEW_READINGS, Permission.SUBMIT_READINGS)
        if not _may_see(photo, principal):
            raise NotAllowed(sentence("This photo was taken by somebody else."))
        jpeg = self.database.photo_content(photo.sha256)
        if jpeg is None:
            raise NotFound("EB404", sentence("No such photo."))
        if hashlib.sha256(jpeg).hexdigest() != photo.sha256:
            raise PhotoDamaged(sentence("The kept photo is damaged: restore it from a backup."))
        return jpeg


def _may_see(photo: MeterPhoto, principal: Principal) -> bool:
    return principal.may(Permission.VIEW_READINGS) or photo.taken_by == principal.user
