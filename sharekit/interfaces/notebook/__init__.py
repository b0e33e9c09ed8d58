"""The review as a panel in a notebook: a view, without rules of its own."""

from .panel import Panel, show

__all__ = ["Panel", "show"]
