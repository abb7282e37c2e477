"""Dunning: the policy's ladder, which accounts are on hold, and what is due tonight."""
