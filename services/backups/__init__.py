"""Backups: a whole utility in one file, made while it runs, checked, kept, copied, restored."""
