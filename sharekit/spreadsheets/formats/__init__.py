"""Readers of single file formats: bytes to :class:`~.raw_sheet.RawSheet`."""
