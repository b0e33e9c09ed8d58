"""Spreadsheets in and out: files become an inventory; a template and review sheets are written."""
