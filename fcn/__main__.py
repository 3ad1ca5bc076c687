"""`python -m fcn` is the `fcn` command."""

import sys

from fcn.cli import main

if __name__ == "__main__":
    sys.exit(main())
