"""Pages that people read, and what writes the generated ones."""
