"""The review as a panel in a notebook: a view, without rules of its own."""
