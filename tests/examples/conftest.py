"""The examples are projects of their own: their folders are where their modules are found."""

import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path[:0] = [str(EXAMPLES / name) for name in ("flights", "jobs")]
