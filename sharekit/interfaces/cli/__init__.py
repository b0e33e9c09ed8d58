"""The command ``sharekit``: a thin way to the library, with exit codes and JSON for scripts."""
