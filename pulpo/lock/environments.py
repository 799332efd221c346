"""Checking what environments make of the manifest: each is looked at as far as its overlay can change anything."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from pulpo.compile.given import parameter_problems
from pulpo.diagnostics import Diagnostic, dotted
from pulpo.lock.check import check_manifest
from pulpo.manifest.overlay import overlaid
from pulpo.manifest.rules import setting_problems
from pulpo.manifest.service_rules import CODES as _OF_SERVICES
from pulpo.manifest.service_rules import service_problems

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pulpo.diagnostics import Path
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.overlay import Overlaid

#: What settings of models and flows alone can break; all else that an overlay can break comes from `after`.
_OF_SETTINGS = ("PLP114", "PLP211", "PLP214", "PLP218", "PLP219", "PLP220", "PLP221", "PLP222")


def in_all_environments(manifest: Manifest, data: Mapping[str, Any], found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """What was found in a manifest, and what else is wrong in its environments, each at the overlay's path."""
    more = [d for name in manifest.environments for d in _Environment(manifest, overlaid(data, name)).added(found)]
    return [*found, *more]


def in_one_environment(
    manifest: Manifest, data: Mapping[str, Any], found: Sequence[Diagnostic], environment: str
) -> list[Diagnostic]:
    """What of that which was found in a manifest holds in an environment, too, and what else is wrong there.

    Raises:
        UsageError: There is no such environment.
    """
    checked = _Environment(manifest, overlaid(data, environment))
    return [*checked.kept(found), *checked.added(found)]


class _Environment:
    """One environment's manifest, and what is wrong with it."""

    def __init__(self, manifest: Manifest, overlay: Overlaid) -> None:
        self._name = overlay.environment
        self._overlay = overlay
        environment = manifest.environments[self._name]
        self._orders = [("operations", name, "after") for name, spec in (environment.operations or {}).items() if spec.after]
        self._problems: list[Diagnostic] = []
        docker = environment.project.docker if environment.project else None
        self._rechecked = bool(self._orders or environment.models or environment.flows)
        self._services_rechecked = bool(self._orders or environment.services or docker)
        if self._orders:
            self._problems = check_manifest(overlay.manifest(manifest))
            return
        merged = overlay.manifest(manifest)
        if self._rechecked:
            self._problems = [*setting_problems(merged), *parameter_problems(merged)]
        if self._services_rechecked:
            self._problems += service_problems(merged)

    def added(self, found: Sequence[Diagnostic]) -> list[Diagnostic]:
        """What the overlay brings, beyond what was found without it."""
        known = {_key(d) for d in found}
        return [self._attributed(d) for d in self._problems if _key(d) not in known]

    def kept(self, found: Sequence[Diagnostic]) -> list[Diagnostic]:
        """What was found without the overlay, less what it puts right and what is about other environments."""
        there = {_key(d) for d in self._problems}
        return [d for d in found if self._concerns(d) and (not self._looked_for(d) or _key(d) in there)]

    def _concerns(self, d: Diagnostic) -> bool:
        return d.path[:1] != ("environments",) or d.path[1:2] in ((), (self._name,))

    def _looked_for(self, d: Diagnostic) -> bool:
        if self._orders:
            return True
        return (self._rechecked and d.code in _OF_SETTINGS) or (self._services_rechecked and d.code in _OF_SERVICES)

    def _attributed(self, d: Diagnostic) -> Diagnostic:
        """The problem at the path where the overlay makes it, which its message names where that is another one."""
        candidates = [path for path in (d.path, *(r.path for r in d.related)) if self._overlay.says(path)]
        # The deepest is what was said; a shorter one only holds something that was.
        own = max(candidates, key=len, default=self._orders[0] if self._orders else ())
        related = tuple(dataclasses.replace(r, path=self._overlay.says(r.path) or r.path) for r in d.related)
        path: Path = self._overlay.says(own) or ("environments", self._name)
        message = d.message if own == d.path else f"{dotted(d.path)}: {d.message}"
        hint = d.hint
        if d.code == "PLP301":
            hint = "the lock's answers are the same in all environments: say `after` in the operation itself"
        return dataclasses.replace(d, path=path, message=message, related=related, hint=hint)


def _key(d: Diagnostic) -> tuple[str, Path, str]:
    return d.code, d.path, d.message
