"""`python -m pulpo` and the command `pulpo`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line on the project that the options or the current directory say."""
    from pulpo.cli.app import CLI

    sys.exit(CLI.main())


if __name__ == "__main__":
    main()
