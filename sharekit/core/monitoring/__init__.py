"""How a call goes: its arguments, log records without secrets, and progress for whoever waits."""
