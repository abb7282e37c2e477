"""Bank statements: camt.053 and MT940 become the table that a CSV of a bank is already."""
