"""A run or an audit as files for people and programs, and the check that they are unchanged."""
