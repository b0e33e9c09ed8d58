"""What every other package speaks of: words, IDs, rules, errors; it imports nothing of ours."""
