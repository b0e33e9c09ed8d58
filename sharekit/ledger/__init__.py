"""The run's one file: events, frames, its lock and its hashes; SQL stays in here."""
