"""Requests as they were recorded, what their answers mean, and whether a run sent them so."""
