"""Rates of OpenEI's Utility Rate Database (URDB), versions 3 to 8, as tariffs of this project."""

from services.importing.urdb.draft import DaysAs
from services.importing.urdb.fields import Remark, UnusableRate
from services.importing.urdb.files import is_urdb, rates_of
from services.importing.urdb.rate import ImportedRate, tariff_of

__all__ = ["DaysAs", "ImportedRate", "Remark", "UnusableRate", "is_urdb", "rates_of", "tariff_of"]
