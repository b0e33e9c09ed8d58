"""How a call goes, for whoever waits for it: log records without secrets, and progress."""
