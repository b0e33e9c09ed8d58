"""Whether a ledger, and the reports made from it, can be what they say they are."""
