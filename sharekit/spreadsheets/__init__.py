"""Spreadsheets in and out: the inventory, an empty template, and the review sheet."""

from .decided import read_review
from .inventory import Inventory, Source
from .limits import Limits
from .reading import read_inventory
from .review_sheet import write_review
from .template import write_template

__all__ = [
    "Inventory",
    "Limits",
    "Source",
    "read_inventory",
    "read_review",
    "write_review",
    "write_template",
]
