"""Settings of flows with what their references stand for, held to the schema once more: a variable can hold anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from pulpo.diagnostics import Diagnostic
from pulpo.errors import DiagnosticsError
from pulpo.manifest.flow import FlowSpec
from pulpo.manifest.references import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pulpo.diagnostics import Locate

#: What a text has to be that a variable can make unusable.
_WANTED = {
    "name": "a name that is not empty and has none of / % & < > in it",
    "queue": "a name that is not empty and has none of / % & < > in it",
    "directory": "an absolute path, beginning with /",
}


def filled_flows(
    flows: Mapping[str, FlowSpec], environ: Mapping[str, str], locate: Locate = lambda _: None
) -> tuple[dict[str, FlowSpec], frozenset[str]]:
    """The flows with the values of variables in place of references, and these values, for `redact`.

    Raises:
        DiagnosticsError: References are malformed or variables not set (see `resolve`), or what they stand for can't stand
            there (PLP101); the message does not show it.
    """
    resolved = resolve({"flows": {name: spec.data() for name, spec in flows.items()}}, environ, locate)
    filled: dict[str, FlowSpec] = {}
    problems: list[Diagnostic] = []
    for name, data in resolved.data["flows"].items():
        try:
            spec = filled[name] = FlowSpec.model_validate(data)
        except ValidationError as error:
            problems += [_unusable(("flows", name, *detail["loc"])) for detail in error.errors(include_input=False)]
            continue
        if spec.work_pool and not (spec.work_pool.directory or "/").startswith("/"):  # the schema lets references begin it
            problems.append(_unusable(("flows", name, "work_pool", "directory")))
    if problems:
        raise DiagnosticsError(sorted((p.located(locate) for p in problems), key=lambda p: p.sort_key))
    return filled, resolved.secrets


def _unusable(path: tuple[str | int, ...]) -> Diagnostic:
    wanted = _WANTED.get(str(path[-1]), "a value that the schema knows")
    return Diagnostic("PLP101", f"what the variables stand for is not {wanted}", path, hint="look at the variables in it")
