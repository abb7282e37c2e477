"""Autopay: what is charged next, what failed and why, and the policy."""
