"""Readers of single file formats: bytes to ``RawSheet``."""
