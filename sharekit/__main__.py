"""``python -m sharekit`` is the command ``sharekit``."""

from .cli import main

if __name__ == "__main__":
    main()
