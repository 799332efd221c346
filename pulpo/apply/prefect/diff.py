"""Fields that differ, for people: secrets do not get into them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pulpo.apply.change import HIDDEN, FieldDiff
from pulpo.manifest.references import redact

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHOWN_VARIABLE = "job_variables.env.PULPO_ENV"


def field_diffs(leaves: Iterable[tuple[str, Any, Any]], *, drift: bool, secrets: frozenset[str]) -> tuple[FieldDiff, ...]:
    """What is shown of the leaves that differ, sorted by name.

    A version is shown only where nothing else differs. Environment variables of a job are never shown, and what holds a secret
    has `***` in its place. What was there before may come from a reference of an earlier manifest, whose value nobody knows any
    more: it is hidden with the value that takes its place, where none does, and in all job variables, unless it was set in
    Prefect.

    Args:
        leaves: Names, and the values before and after.
        drift: Whether they were changed in Prefect.
        secrets: What must not be shown.
    """
    diffs = [_diff(name, before, after, drift=drift, secrets=secrets) for name, before, after in leaves]
    shown = [diff for diff in diffs if diff.name != "version"] or diffs
    return tuple(sorted(shown, key=lambda diff: diff.name))


def holds_secret(value: Any, secrets: frozenset[str]) -> bool:
    """Whether a JSON value has a secret in one of its texts."""
    return bool(_redacted(value, secrets) != value)


def _diff(name: str, before: Any, after: Any, *, drift: bool, secrets: frozenset[str]) -> FieldDiff:
    seen = _redacted(after, secrets)
    if name.startswith("job_variables") and name != _SHOWN_VARIABLE:
        is_variable = name == "job_variables.env" or name.startswith("job_variables.env.")
        if is_variable or not drift or seen != after:
            before = _hidden(before)
        if is_variable:
            seen = _hidden(seen)
    elif seen != after or (name.startswith("parameters.") and after is None and not drift):
        before = _hidden(before)
    return FieldDiff(name, _redacted(before, secrets), seen)


def _hidden(value: Any) -> Any:
    return None if value is None else HIDDEN


def _redacted(value: Any, secrets: frozenset[str]) -> Any:
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, dict):
        return {key: _redacted(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_redacted(item, secrets) for item in value]
    return value
