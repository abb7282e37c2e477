"""The full export of a utility: a ZIP of CSV files that imports take back, and of an archive."""
