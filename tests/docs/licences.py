"""The licences of what is installed with Pulpo: `python -m tests.docs.licences` writes docs/licences.md from the packages' metadata.

What is not installed here, as Ray is not, is asked of pip, which tells what it would install with what is. Versions move by
themselves, so nothing compares the page with them: tests/docs/test_licences.py looks at the licences of what is installed.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import platform
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.ui.vendor import notices

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "licences.md"
NAME = "pulpocore"
#: Stands for the package without extras.
CORE = ""
UNKNOWN = "unknown"
NOTE = "<!-- Made from the metadata of packages by `make licences`. -->\n"

#: What asks for no more than that a notice is kept.
PERMISSIVE = frozenset(
    ("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CNRI-Python", "ISC", "MIT", "MIT-0", "PSF-2.0", "Unlicense", "Zlib")
)
#: What asks more of who passes the package itself on, and nothing of who uses it.
LIMITED = frozenset(("Artistic-1.0-Perl", "MPL-2.0"))

#: Where metadata say less than the licence's own text, as that has it.
READ = {
    "colorama": "BSD-3-Clause",
    "cronsim": "BSD-3-Clause",
    "jinja2": "BSD-3-Clause",
    "jinja2-humanize-extension": "BSD-3-Clause",
    "partd": "BSD-3-Clause",
    "pyasn1-modules": "BSD-2-Clause",
    "python-dateutil": "BSD-3-Clause AND (Apache-2.0 OR BSD-3-Clause)",
    "text-unidecode": "Artistic-1.0-Perl OR GPL-2.0-or-later",
    "zict": "BSD-3-Clause",
}
#: What people write in the first line of the field `License`.
_WRITTEN = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "mit license": "MIT",
}
_CLASSIFIED = {
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}


@dataclass(frozen=True, slots=True)
class Package:
    """What is installed, or would be."""

    name: str
    version: str
    #: An SPDX expression, or `unknown`.
    licence: str
    requires: tuple[Requirement, ...] = ()


Find = Callable[[str], Package]


def main() -> int:
    """Write the page; returns the exit code."""
    PAGE.write_text(page(), encoding="utf-8")
    return 0


def licence(name: str, expression: str | None, written: str | None, classifiers: Iterable[str]) -> str:
    """The licence of a package: as it was read, or as the first of its metadata says that SPDX knows; `unknown` where none does."""
    first = (written or "").strip().partition("\n")[0]
    classified = {_CLASSIFIED.get(one.rpartition(" :: ")[2]) for one in classifiers if one.startswith("License :: ")}
    said = [READ.get(canonicalize_name(name)), expression, _WRITTEN.get(first.lower(), first)]
    return next(filter(None, map(_spdx, [*said, *(classified if len(classified) == 1 else ())])), UNKNOWN)


def _spdx(said: str | None) -> str | None:
    try:
        return canonicalize_license_expression(said) if said else None
    except InvalidLicenseExpression:
        return None


def fits(expression: str, allowed: frozenset[str] = PERMISSIVE | LIMITED) -> bool:
    """Whether a licence leaves a choice that is allowed: all of what `AND` joins, one of what `OR` does."""
    parts = re.findall(r"[()]|[\w.+-]+(?: WITH [\w.-]+)?", expression)
    words = {"AND": "and", "OR": "or", "(": "(", ")": ")"}
    return bool(eval(" ".join(words.get(part, str(part in allowed)) for part in parts)))


def installed(name: str) -> Package:
    """A package of this environment.

    Raises:
        importlib.metadata.PackageNotFoundError: It is not installed.
    """
    found = importlib.metadata.distribution(name)
    data = found.metadata
    said = licence(name, data.get("License-Expression"), data.get("License"), data.get_all("Classifier") or ())
    return Package(name, found.version, said, tuple(map(Requirement, found.requires or ())))


def closure(requirements: Iterable[Requirement], find: Find) -> dict[str, Package]:
    """All that comes with the requirements, themselves included, by normalised name."""
    waiting, seen, found = list(requirements), set(), {}
    while waiting:
        asked = waiting.pop()
        name = canonicalize_name(asked.name)
        key = (name, frozenset(asked.extras))
        if key not in seen:
            seen.add(key)
            found[name] = find(name)
            waiting += [one for one in found[name].requires if _holds(one, asked.extras)]
    return found


def _holds(one: Requirement, extras: Iterable[str]) -> bool:
    """Whether a requirement counts here, on this Python and this system."""
    return one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in ("", *extras))


@functools.cache
def asked() -> dict[str, tuple[Requirement, ...]]:
    """What pyproject.toml asks for, by extra, the package itself first; an extra that brings another one asks for it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {CORE: project["dependencies"], **project["optional-dependencies"]}
    return {extra: tuple(map(Requirement, texts)) for extra, texts in groups.items()}


def brought(extra: str) -> Iterator[str]:
    """The extras that an extra brings."""
    for one in asked()[extra]:
        if one.name == NAME:
            for other in one.extras:
                yield other
                yield from brought(other)


def direct(extra: str) -> list[Requirement]:
    """What an extra asks for, with what the extras ask for that it brings."""
    return [one for name in (extra, *brought(extra)) for one in asked()[name] if one.name != NAME]


def has(extra: str) -> bool:
    """Whether all that an extra asks for is installed here."""
    try:
        return bool([installed(one.name) for one in direct(extra)])
    except importlib.metadata.PackageNotFoundError:
        return False


def resolved(extra: str, beside: Iterable[Package]) -> dict[str, Package]:
    """What pip would install for an extra beside packages that stay as they are; it asks the package index."""
    with tempfile.TemporaryDirectory() as directory:
        constraints = Path(directory) / "constraints.txt"
        constraints.write_text("".join(f"{one.name}=={one.version}\n" for one in beside), encoding="utf-8")
        wanted = [str(one) for one in direct(extra)]
        command = ["install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-", "--constraint", str(constraints)]
        done = subprocess.run([sys.executable, "-m", "pip", *command, *wanted], check=True, stdout=subprocess.PIPE)
    return {one.name: one for one in (_reported(entry["metadata"]) for entry in json.loads(done.stdout)["install"])}


def _reported(data: Mapping[str, Any]) -> Package:
    name = canonicalize_name(data["name"])
    said = licence(name, data.get("license_expression"), data.get("license"), data.get("classifier", ()))
    return Package(name, data["version"], said, tuple(map(Requirement, data.get("requires_dist", ()))))


def packages() -> dict[str, dict[str, Package]]:
    """By extra, all that comes with it."""
    here = {extra: closure(direct(extra), installed) for extra in asked() if has(extra)}
    beside = {name: one for found in here.values() for name, one in found.items()}
    others = {extra: resolved(extra, beside.values()) for extra in asked() if extra not in here}
    return {
        extra: here[extra] if extra in here else closure(direct(extra), others[extra].__getitem__) for extra in sorted(asked())
    }


def page() -> str:
    """The page."""
    found = packages()
    everything = {name: one for group in found.values() for name, one in group.items()}
    first = {canonicalize_name(one.name) for extra in asked() for one in direct(extra)}
    rest = [one for name, one in sorted(everything.items()) if name not in first]
    return "\n".join(
        [
            "# Licences\n",
            NOTE,
            _begin(len(everything)),
            "## Asked for\n",
            _table(("package", "for", "version", "licence"), _asked_rows(everything)),
            "## What comes with them\n",
            _table(("package", "with", "version", "licence"), [_row(one, found) for one in rest]),
            "## In the package itself\n",
            _vendored(),
            "## Not installed by Pulpo\n",
            _END,
            "## Which licences\n",
            _which(everything.values()),
        ]
    )


def _begin(count: int) -> str:
    python = ".".join(platform.python_version_tuple()[:2])
    return (
        f"Pulpo is under [Apache-2.0](../LICENSE). `pip install {NAME}` brings work of others under licences of theirs, and so does each "
        f"extra. These are all {count} packages that the package and its extras had on Python {python} on {platform.system()} when this page was "
        "made, with their licences as SPDX expressions. Within the bounds of `pyproject.toml` versions move by themselves, and yours may be "
        "others, so the tests look at the licences of what is installed each time they run. A licence is what a package says of itself: "
        "those with compiled parts hold libraries of others, with notices of their own.\n"
    )


def _asked_rows(everything: Mapping[str, Package]) -> list[tuple[str, ...]]:
    """A line for each package that pyproject.toml names, those of the package itself first."""
    groups: dict[str, list[str]] = {}
    for extra in sorted(asked()):
        for one in asked()[extra]:
            if one.name != NAME:
                groups.setdefault(canonicalize_name(one.name), []).append(_shown(extra))
    names = sorted(groups, key=lambda name: (_shown(CORE) not in groups[name], name))
    return [(f"`{name}`", ", ".join(groups[name]), everything[name].version, everything[name].licence) for name in names]


def _row(one: Package, found: Mapping[str, Mapping[str, Package]]) -> tuple[str, ...]:
    """A line of what comes with others: with the package itself, or else with extras, but for those that bring one of these."""
    extras = [extra for extra in found if one.name in found[extra]]
    shown = [CORE] if CORE in extras else [extra for extra in extras if not set(brought(extra)) & set(extras)]
    return f"`{one.name}`", ", ".join(map(_shown, shown)), one.version, one.licence


def _shown(extra: str) -> str:
    return "Pulpo" if extra == CORE else f"`{extra}`"


def _vendored() -> str:
    rows = [(f"`pulpo/ui/static/vendor/{one.file}`", f"{one.package} {one.version}", one.licence) for one in notices()]
    return (
        _table(("file", "from", "licence"), rows)
        + "\n`viz.js` holds Graphviz as WebAssembly, under EPL-2.0, and Expat, under MIT. All files are unchanged; notices, and where the source "
        "is, are in [NOTICES.md](../pulpo/ui/static/vendor/NOTICES.md) beside them, which is in the wheel as well.\n"
    )


_END = """\
Programs that Pulpo starts where you ask for them are yours to install, under licences of theirs: MongoDB's server (SSPL-1.0) for
`engine: mongodb`, as a program or as the image `mongo:8`; Docker with its Compose; what is in the image that yours is made from,
`python:3.12-slim` where the lock names none.

Tools of the development group in `pyproject.toml` are not listed: nobody gets them with Pulpo. One of them holds a MongoDB server
(SSPL-1.0), which the tests start and nothing else does.
"""


def _which(found: Iterable[Package]) -> str:
    """What is allowed, and which packages are not simply permissive."""
    others = sorted((one for one in found if not fits(one.licence, PERMISSIVE)), key=lambda one: (one.licence, one.name))
    named = ", ".join(f"`{one.name}` ({one.licence})" for one in others)
    return (
        f"Allowed are those that ask for no more than that a notice is kept: {', '.join(sorted(PERMISSIVE))}; and those that ask more of who "
        f"passes the package itself on, and nothing of who uses it: {', '.join(sorted(LIMITED))}. Of several joined by "
        f"`OR` one is enough. Of the second kind are {named}. A package under the GPL, LGPL or AGPL alone, under the SSPL, or under a "
        "licence that nobody knows fails the tests.\n"
    )


def _table(heads: Sequence[str], rows: Sequence[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (heads, ["---"] * len(heads), *rows))


if __name__ == "__main__":
    sys.exit(main())
