"""Rows of reports, and the accounts that their journal goes to."""
