"""Dunning: what tonight's run sends, who owes, what was done, work orders, and the policy."""
