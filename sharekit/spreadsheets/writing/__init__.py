"""Workbooks that sharekit writes: the template, the review sheet, and what both are made with."""
