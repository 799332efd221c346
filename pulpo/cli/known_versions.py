"""Which versions of other packages go together: what Pulpo requires, and pairs that are known not to.

The pairs are here, in one table, with what happens; the bounds in `pyproject.toml` keep new environments from them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Final

DISTRIBUTION: Final = "pulpocore"

#: The version of a package that is installed, None where it is not.
Installed = Callable[[str], "str | None"]


@dataclass(frozen=True, slots=True)
class BadPair:
    """Two packages that do not work together."""

    package: str
    #: From this version on.
    since: str
    other: str
    #: What happens.
    what: str
    #: What is to be asked of pip.
    wanted: str
    #: Whether something that the user asks for fails; else it is only worse than it could be.
    fails: bool = True


BAD_PAIRS: Final = (
    BadPair("fastapi", "0.151", "prefect", "Prefect's server can't import its API", "fastapi<0.151"),
    BadPair("sqlalchemy", "2.1", "prefect", "Prefect's scheduler fails, so that no schedule starts a run", "sqlalchemy<2.1"),
    BadPair(
        "pytest", "9.2", "pytest-xdist", "tests that share something run at the same time on several workers", "pytest<9.2",
        fails=False,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a distribution asks for."""

    package: str
    #: As in `>=3.8.8,<4`.
    bounds: str
    #: The extra that asks for it; None is the package itself.
    extra: str | None


def installed(package: str) -> str | None:
    """The version of a package that is installed here, None where it is not."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def requirements() -> tuple[Requirement, ...]:
    """What the Pulpo that is installed asks for, extras included; none where it is not installed as a distribution."""
    try:
        texts = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return ()
    return tuple(_parsed(text) for text in texts)


def by_extra(found: tuple[Requirement, ...]) -> dict[str, tuple[Requirement, ...]]:
    """The requirements of each extra, those of extras that it brings included; extras sorted."""
    extras: dict[str, list[Requirement]] = {}
    for one in found:
        if one.extra is not None:
            extras.setdefault(one.extra, []).append(one)
    return {extra: tuple(_expanded(extra, extras)) for extra in sorted(extras)}


def bad_pairs(version_of: Installed = installed) -> tuple[BadPair, ...]:
    """The pairs of the table that are installed here."""
    return tuple(pair for pair in BAD_PAIRS if _is_bad(pair, version_of))


def fits(version: str, bounds: str) -> bool:
    """Whether a version is within bounds such as `>=3.8.8,<4`; of a pre-release its number counts."""
    return all(_holds(_numbers(version), *match) for match in re.findall(r"(>=|<=|==|!=|<|>)\s*([0-9][^,]*)", bounds))


def _is_bad(pair: BadPair, version_of: Installed) -> bool:
    version = version_of(pair.package)
    return version is not None and version_of(pair.other) is not None and fits(version, f">={pair.since}")


def _expanded(extra: str, extras: Mapping[str, list[Requirement]]) -> Iterator[Requirement]:
    for one in extras[extra]:
        if one.package.startswith(f"{DISTRIBUTION}["):
            for inner in one.package.partition("[")[2].rstrip("]").split(","):
                yield from _expanded(inner, extras)
        else:
            yield one


def _parsed(text: str) -> Requirement:
    requirement, _, marker = text.partition(";")
    extra = re.search(r"extra == ['\"]([^'\"]+)['\"]", marker)
    found = re.match(r"\s*([A-Za-z0-9._-]+)(\[[^\]]*\])?\s*\(?([^)]*)", requirement)
    name, brackets, bounds = found.groups() if found else (requirement, None, "")
    own = name == DISTRIBUTION and brackets
    return Requirement(f"{name}{brackets}" if own else name, bounds.strip(), extra[1] if extra else None)


def _holds(version: tuple[int, ...], operator: str, bound: str) -> bool:
    wanted = _numbers(bound)
    return {
        ">=": version >= wanted, "<=": version <= wanted, ">": version > wanted, "<": version < wanted,
        "==": version == wanted, "!=": version != wanted,
    }[operator]  # fmt: skip


def _numbers(text: str) -> tuple[int, ...]:
    """The release of a version, of four numbers: `2.9.0.post0` as (2, 9, 0, 0)."""
    release = re.match(r"\d+(\.\d+)*", text.strip())
    found = [int(part) for part in release[0].split(".")] if release else []
    return tuple([*found, 0, 0, 0, 0][:4])
