"""Accept or reject shared machine images by the hundred, and prove what happened."""

__version__ = "0.1.0"
