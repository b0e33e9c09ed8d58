"""``python -m sharekit`` is the command ``sharekit``."""

from .interfaces.cli.main import main

if __name__ == "__main__":
    main()
