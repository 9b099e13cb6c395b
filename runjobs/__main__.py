"""`python -m runjobs`."""

import sys

from runjobs.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
