"""Workbooks of four formats: cells, number formats, links and what is crossed out."""
