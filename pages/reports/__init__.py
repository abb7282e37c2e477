"""Reports: the list of them, each with its figures, and the cashier's day."""
