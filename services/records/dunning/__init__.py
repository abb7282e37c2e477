"""Dunning as it travels between the database and the services."""
