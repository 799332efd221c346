"""What a project needs, for pip, while its image is built: `python -m pulpo.compile.requirements [EXTRA…] > project.txt`.

pip installs a project with what it needs, or one of them alone, but never what it needs alone, which changes less often.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path


def requirements(directory: Path, extras: Sequence[str] = ()) -> Iterator[str]:
    """The lines of a file of requirements: its `requirements.txt` where there is one, else the dependencies in `pyproject.toml`.

    The extras are those of the project; names that it does not have are somebody else's, and left out.
    """
    path = directory / "pyproject.toml"
    table = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    project = table.get("project", {})
    if (pinned := directory / "requirements.txt").exists():
        yield f"-r {pinned}"
    else:
        yield from project.get("dependencies", ())
    for extra in extras:
        yield from project.get("optional-dependencies", {}).get(extra, ())


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in requirements(Path.cwd(), sys.argv[1:]))
