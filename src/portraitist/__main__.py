"""``python -m portraitist`` is ``portraitist``."""

from portraitist.cli.main import main

if __name__ == "__main__":
    main()
