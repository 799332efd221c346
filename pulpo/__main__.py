"""`python -m pulpo` and the command `pulpo`."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command line on the project that the options or the current directory say."""
    try:
        from pulpo.cli.app import CLI

        code = CLI.main()
        gc.freeze()  # the last collection, at exit, would go through all classes of the user's models
        sys.exit(code)
    except KeyboardInterrupt:  # while it was still being imported
        sys.exit(130)


if __name__ == "__main__":
    main()
