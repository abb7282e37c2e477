"""Autopay: customers let their bills be charged on the due date."""
