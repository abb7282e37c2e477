"""The pure rules of billing: money, energy, periods, tariffs, rating and validation; no I/O."""
