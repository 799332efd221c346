"""What has to be done about Prefect's variables: the project's own are made, changed and deleted, others' are left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pulpo.apply.change import HIDDEN, Action, Change
from pulpo.apply.prefect.diff import field_diffs, holds_secret
from pulpo.apply.prefect.steps import CreateVariable, DeleteVariable, UpdateVariable
from pulpo.apply.prefect.wire import differing, is_ours
from pulpo.compile.variables import FILLED
from pulpo.errors import ApplyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from pulpo.apply.prefect.scope import Scope
    from pulpo.apply.prefect.state import LiveVariable
    from pulpo.compile.variables import Variable

#: The tag that says which version of the manifest's a variable has, so that what was changed in Prefect is told apart.
_VERSION: Final = "pulpo.version="


def plan_variables(
    desired: Sequence[Variable], live: Sequence[LiveVariable], scope: Scope
) -> Iterator[CreateVariable | UpdateVariable | DeleteVariable]:
    """What has to be done so that Prefect has the desired variables, and no others of the project in this environment.

    Raises:
        ApplyError: A name is taken by somebody else's.
    """
    there = {variable.name: variable for variable in live}
    ours = {name for name, found in there.items() if is_ours(found.tags, scope.project, scope.environment)}
    if taken := [variable.name for variable in desired if variable.name in there.keys() - ours]:
        raise ApplyError(
            f"Prefect has variables of these names that are not this project's: {', '.join(taken)}",
            hint=f"delete or rename them there, or in the lock; its own are tagged {' and '.join(desired[0].tags)}",
        )
    for variable in desired:
        if variable.name not in ours:
            change = Change(address_of(variable.name), Action.CREATE, "not in Prefect")
            yield CreateVariable(change, {"name": variable.name, **_body(variable)})
        elif update := _update(variable, there[variable.name], scope.secrets):
            yield update
    for name in sorted(ours - {variable.name for variable in desired}):
        yield DeleteVariable(Change(address_of(name), Action.DELETE, "left the manifest"), there[name].id)


def address_of(name: str) -> str:
    """The address of a variable's change."""
    return f"variable:{name}"


def _update(variable: Variable, live: LiveVariable, secrets: frozenset[str]) -> UpdateVariable | None:
    body = _body(variable)
    leaves = [*differing(live.value, variable.value, "value"), *differing(sorted(live.tags), body["tags"], "tags")]
    if not leaves:
        return None
    versions = [tag for tag in live.tags if tag.startswith(_VERSION)]
    if versions and body["tags"][-1] not in versions:
        cause, drift = "changed in the manifest", False
        leaves = [leaf for leaf in leaves if leaf[0] != "tags"] or leaves
    elif holds_secret(variable.value, secrets):
        cause, drift = "with other values of environment variables", False
    else:
        cause, drift = "changed in Prefect", True
    if not drift and any(version.endswith(FILLED) for version in versions):  # what of, nobody knows any more
        leaves = [(name, HIDDEN, after) for name, _, after in leaves]
    diffs = field_diffs(leaves, drift=drift, secrets=secrets)
    return UpdateVariable(Change(address_of(variable.name), Action.UPDATE, cause, diffs, drift=drift), live.id, body)


def _body(variable: Variable) -> dict[str, Any]:
    return {"value": variable.value, "tags": [*variable.tags, f"{_VERSION}{variable.version}"]}
