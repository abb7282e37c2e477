"""A whole database out and in again: one snapshot, Postgres's own dump, a new database."""
