"""``python -P -m sharekit`` is the command ``sharekit``.

Without ``-P`` Python itself runs modules of the working directory, such as a ``json.py`` in it.
"""

from .interfaces.cli.main import main

if __name__ == "__main__":
    main()
