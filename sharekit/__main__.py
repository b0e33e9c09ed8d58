"""``python -m sharekit`` is the command ``sharekit``."""

from .interfaces.cli import main

if __name__ == "__main__":
    main()
