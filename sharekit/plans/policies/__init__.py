"""Policies: what they are, how a file says them, what they decide, and approvals given ahead."""
