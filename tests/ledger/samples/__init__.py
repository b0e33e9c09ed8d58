"""Ledgers of the first release, kept as they were written: every later version must read them."""
