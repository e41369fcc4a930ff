"""``python -m portraitist`` is ``portraitist``."""

from portraitist.cli.main import run_process

if __name__ == "__main__":
    run_process()
