"""A plan in a file: what it was made of, so that it can be refused when manifest or world have moved since."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pulpo.errors import UsageError

if TYPE_CHECKING:
    from pulpo.apply.whole import WholePlan

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Origin:
    """What a plan was made for."""

    project: str
    environment: str | None
    mode: str
    #: Of what the manifest says, references as they are written.
    manifest: str
    only: tuple[str, ...] | None = None
    destroy_data: bool = False


@dataclass(frozen=True, slots=True)
class Saved:
    """A plan as its file has it."""

    origin: Origin
    #: Of every address what was found there, and what is done about it.
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    #: As JSON, in their order.
    changes: Sequence[Mapping[str, Any]] = ()


def saved(plan: WholePlan, origin: Origin) -> Saved:
    """What is kept of a plan."""
    prints = {address: text for part in plan.parts for address, text in part.fingerprints.items()}
    return Saved(origin, dict(sorted(prints.items())), [asdict(change) for change in plan.changes])


def write_plan(path: Path, found: Saved) -> None:
    """Write a plan into a file that its owner alone reads.

    Raises:
        UsageError: It can't be written.
    """
    text = json.dumps({"version": VERSION, **asdict(found)}, indent=2, ensure_ascii=False) + "\n"
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(part, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(text)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UsageError(f"{path} can't be written: {error.strerror or error}") from error


def read_plan(path: Path) -> Saved:
    """The plan in a file.

    Raises:
        UsageError: There is none, or it is of another version of Pulpo.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no JSON"
        raise UsageError(f"{path} can't be read: {reason}", hint="`pulpo plan -o FILE` writes a plan") from error
    if not isinstance(data, dict) or data.get("version") != VERSION:
        raise UsageError(f"no plan of this version of Pulpo is in the file: {path}", hint="`pulpo plan -o FILE` writes one")
    try:
        origin = dict(data["origin"])
        only = origin.pop("only")
        return Saved(Origin(**origin, only=None if only is None else tuple(only)), data["fingerprints"], data["changes"])
    except (KeyError, TypeError) as error:
        raise UsageError(f"the plan in the file is not whole: {path}", hint="`pulpo plan -o FILE` writes one") from error


def moved(before: Saved, now: Saved) -> list[str]:
    """What is not any more as it was when a plan was saved, for people, in the order in which it matters; none is none."""
    return list(_moved(before, now))


def _moved(before: Saved, now: Saved) -> Iterator[str]:
    for name, was, is_ in (
        ("project", before.origin.project, now.origin.project),
        ("environment", before.origin.environment, now.origin.environment),
        ("mode", before.origin.mode, now.origin.mode),
    ):
        if was != is_:
            yield f"it is for the {name} {was or 'of no name'}, not {is_ or 'of no name'}"
    if before.origin.manifest != now.origin.manifest:
        yield "the manifest was changed"
    for address in sorted(before.fingerprints.keys() | now.fingerprints.keys()):
        if before.fingerprints.get(address) != now.fingerprints.get(address):
            yield f"{address} is not as it was"
    if _comparable(before.changes) != _comparable(now.changes):
        yield "other changes would be made"


def _comparable(changes: Sequence[Mapping[str, Any]]) -> Any:
    return json.loads(json.dumps(changes, ensure_ascii=False))
