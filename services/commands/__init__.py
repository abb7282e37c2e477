"""The commands of `python -m services`, by subject."""
