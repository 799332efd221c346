"""The files of others in the UI: `make vendor` gets them anew from the npm registry, as `NOTICES.md` says they are."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

DIRECTORY = Path(__file__).parents[2] / "pulpo" / "ui" / "static" / "vendor"
_ROW = re.compile(
    r"^\| `(?P<file>[^`]+)` \| \[(?P<package>[^\]]+)\]\([^)]+\) (?P<version>[\d.]+), `(?P<path>[^`]+)` \| (?P<licence>[^|]+) \| `(?P<sha256>[0-9a-f]{64})` \|$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Vendored:
    """A file of others, as the notices say it."""

    file: str
    package: str
    version: str
    path: str
    licence: str
    sha256: str


def notices() -> list[Vendored]:
    """The files that `NOTICES.md` tells of."""
    return [Vendored(**row.groupdict()) for row in _ROW.finditer((DIRECTORY / "NOTICES.md").read_text())]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def fetch(said: Vendored) -> bytes:
    """The file from the registry; what is something else is not taken."""
    with tempfile.TemporaryDirectory() as directory:
        package = f"{said.package}@{said.version}"
        command = ["npm", "pack", package, "--silent", "--ignore-scripts", "--pack-destination", directory]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(next(Path(directory).glob("*.tgz"))) as archive:
            found = archive.extractfile(f"package/{said.path}")
            content = found.read() if found else b""
    if digest(content) != said.sha256:
        sys.exit(f"{package} has another {said.path} than NOTICES.md says: {digest(content)}")
    return content


if __name__ == "__main__":
    for said in notices():
        (DIRECTORY / said.file).write_bytes(fetch(said))
        print(f"{said.file}: {said.package} {said.version}")
