"""Names in generated modules: each one unique where it is seen, the same however the manifest is ordered."""

from __future__ import annotations

import builtins
import keyword
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from pulpo.compile.flow import FlowDefinition

#: What generated text imports from `pulpo.run.prefect`.
RUNTIME = frozenset((
    *("call", "dask", "each", "every", "keyed", "one", "previous", "ray", "run", "schema", "step", "subflow"),
    "worth_retrying",
))  # fmt: skip
#: What generated modules use besides.
_OTHERS = frozenset(("Annotated", "Any", "NO_CACHE", "State", "__file__", "__name__", "asyncio", "flow", "pulpo", "sys", "task"))
#: Names that nothing in a generated module may take.
RESERVED = RUNTIME | _OTHERS | frozenset(dir(builtins)) | frozenset(keyword.kwlist) | frozenset(keyword.softkwlist)


class Names:
    """The names of one scope."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def __contains__(self, name: str) -> bool:
        """Whether something has the name."""
        return name in self._taken

    def add(self, name: str, avoid: Container[str] = ()) -> str:
        """The name, with a number from 2 at its end where it is taken or to be avoided; it is taken from now on."""
        free, number = name, 2
        while free in self._taken or free in avoid:
            free, number = f"{name}_{number}", number + 1
        self._taken.add(free)
        return free


def parameter_names(flow: FlowDefinition) -> dict[str, str]:
    """For each parameter of a flow, by name, what the generated function calls it: `fetch.limit` is `fetch_limit`."""
    plain = {p.name for p in flow.parameters if "." not in p.name}
    names = Names(plain)
    return {p.name: p.name if p.name in plain else names.add(p.name.replace(".", "_")) for p in flow.parameters}
