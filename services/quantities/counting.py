"""Counts in words, with the right form of what is counted."""


def count(number: int, thing: str, things: str | None = None) -> str:
    """1 day, 2 days, 1,000 days; `things` where an s at the end would not do."""
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"
