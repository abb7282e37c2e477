"""Bringing customers, meters, readings and tariffs in from files: checked whole, then written."""

from services.importing.importer import Importer
from services.importing.report import ImportProblem, ImportReport, WhatToImport

__all__ = ["ImportProblem", "ImportReport", "Importer", "WhatToImport"]
