"""A fleet: many parts, each a run with its own ledger, under one approval and one report."""
