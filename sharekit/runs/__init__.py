"""A plan that is sent, followed, read back and given its outcomes."""
