"""What a service was made from beside what it would be made from now: which fields differ, and who changed them.

Values of variables are compared where they are anyway, in what runs and in this command, and are neither shown nor kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pulpo.apply.change import HIDDEN, FieldDiff
from pulpo.compile.said import ENVIRONMENT, LITERAL
from pulpo.manifest.references import references

MANIFEST: Final = "changed in the manifest"
VARIABLE: Final = "a variable's value changed"
#: Of a text of the environment that is written in part, and in part refers to variables.
EITHER: Final = "changed in the manifest, or a variable's value"
#: Told where it is not known from what something was made: an older Pulpo kept nothing of it.
UNTOLD: Final = "is not as the manifest and its variables say"


@dataclass(frozen=True, slots=True)
class Made:
    """What a service is made from."""

    #: As the manifest says it (`pulpo.compile.said`).
    said: Mapping[str, Any]
    #: The environment with its values.
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: What came of fields here, with the values of variables; a field that is not in it is not compared.
    given: Mapping[str, Any] = field(default_factory=dict, repr=False)


def difference(before: Made, after: Made, otherwise: str) -> tuple[str, tuple[FieldDiff, ...]]:
    """The cause for which something has to be made anew, and the fields that differ, sorted.

    Args:
        before: What it was made from.
        after: What it would be made from now, which is known to be something else.
        otherwise: The cause where neither the manifest nor a variable is known to be it.
    """
    said = [_told(name, before.said.get(name), after.said.get(name)) for name in _differing(before.said, after.said)]
    causes: dict[str, set[str]] = {MANIFEST: set()} if said else {}
    found = {name: _cause(name, after.said, otherwise) for name in _values(before, after)}
    if said or any(cause != otherwise for cause, _ in found.values()):  # the rest is what follows from that
        found = {name: told for name, told in found.items() if told[0] != otherwise}
    for cause, variables in found.values():
        causes.setdefault(cause, set()).update(variables)
    shown = [f"{cause}: {', '.join(sorted(causes[cause]))}" if causes[cause] else cause for cause in sorted(causes)]
    fields = [*said, *(FieldDiff(name, HIDDEN, HIDDEN) for name in found)]
    return "; ".join(shown) or otherwise, tuple(sorted(fields, key=lambda diff: diff.name))


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    return (name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name))


def _values(before: Made, after: Made) -> Iterator[str]:
    """The fields that are said as before, or not at all, and whose values differ."""
    told = tuple(_differing(before.said, after.said))
    for name, value in after.environment.items():
        if before.environment.get(name) != value and f"{ENVIRONMENT}{name}" not in told:
            yield f"{ENVIRONMENT}{name}"
    for name in after.given.keys() & before.given.keys():
        if before.given[name] != after.given[name] and not any(_is_in(one, name) for one in told):
            yield name


def _told(name: str, before: Any, after: Any) -> FieldDiff:
    if name.startswith(ENVIRONMENT):
        before, after = (None if value is None else HIDDEN for value in (before, after))
    return FieldDiff(name, before, after)


def _cause(name: str, said: Mapping[str, Any], otherwise: str) -> tuple[str, set[str]]:
    """Who changed a value of a field that is said as before, and the variables that it refers to."""
    text = json.dumps([value for one, value in said.items() if _is_in(one, name)], ensure_ascii=False)
    variables = {reference.name for reference in references(text)}
    if not name.startswith(ENVIRONMENT):
        return (VARIABLE, variables) if variables else (otherwise, set())
    if name not in said:
        return otherwise, set()
    if not variables:
        return MANIFEST, set()
    return (EITHER if LITERAL in text else VARIABLE), variables


def _is_in(one: str, name: str) -> bool:
    return one == name or one.startswith(f"{name}.")
