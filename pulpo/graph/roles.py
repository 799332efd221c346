"""Who has to do with a model: what makes its records, updates them and takes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pulpo.diagnostics import Diagnostic
from pulpo.manifest.model import Mode
from pulpo.names import did_you_mean, parents

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pulpo.diagnostics import Path
    from pulpo.manifest.model import InputSpec, OperationSpec

    Operations = Mapping[str, OperationSpec]


@dataclass(slots=True)
class Roles:
    """The operations that have to do with one model, each list in the order of the manifest."""

    #: They return records of it, and take none.
    producers: list[str] = field(default_factory=list)
    #: They take or read records of it, and return or write them.
    updaters: list[str] = field(default_factory=list)
    #: They write it to the store by themselves, and take or read none.
    writers: list[str] = field(default_factory=list)
    #: They take records of it as values, and return or write none.
    consumers: list[str] = field(default_factory=list)
    #: They read it from the store by themselves, and return or write none.
    readers: list[str] = field(default_factory=list)


def value_inputs(spec: OperationSpec, model: str) -> list[tuple[str, InputSpec]]:
    """The parameters that take records of the model from other operations, in the order of the signature."""
    return [(name, given) for name, given in spec.inputs.items() if given.model == model and given.mode is not Mode.PREVIOUS]


def returns(spec: OperationSpec, model: str) -> bool:
    """Whether the model is among the outputs."""
    return any(output.model == model for output in spec.outputs)


def reads(spec: OperationSpec, model: str) -> bool:
    """Whether the function reads the model from the store by itself."""
    return model in (spec.models_in or ())


def writes(spec: OperationSpec, model: str) -> bool:
    """Whether the function writes the model to the store by itself."""
    return model in (spec.models_out or ())


def takes_everything(spec: OperationSpec, model: str) -> bool:
    """Whether a parameter of the model does not choose its producers."""
    return any(not given.select for _, given in value_inputs(spec, model))


def roles(operations: Operations) -> dict[str, Roles]:
    """Who has to do with each model, sorted by model."""
    by_model: dict[str, Roles] = {}
    for name, spec in operations.items():
        taken = {given.model for given in spec.inputs.values() if given.mode is not Mode.PREVIOUS}
        read = set(spec.models_in or ())
        returned = {output.model for output in spec.outputs}
        written = set(spec.models_out or ())
        for model in taken | read | returned | written:
            part = by_model.setdefault(model, Roles())
            if model in taken | read and model in returned | written:
                part.updaters.append(name)
                continue
            for models, members in (
                (taken, part.consumers),
                (read, part.readers),
                (returned, part.producers),
                (written, part.writers),
            ):
                if model in models:
                    members.append(name)
    return dict(sorted(by_model.items()))


class AfterIndex:
    """What `after` names stand for: an operation, or all operations of a flow."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._members: dict[str, list[str]] = {}
        for name in sorted(operations):
            for flow in parents(name):
                self._members.setdefault(flow, []).append(name)

    def expand(self, operation: str) -> Iterator[str]:
        """The operations that have to be done before this one; a flow that it lies in stands for the others in it."""
        for named in self._operations[operation].after or ():
            if named in self._operations:
                yield named
            else:
                yield from (name for name in self._members.get(named, ()) if name != operation)

    def problems(self) -> list[Diagnostic]:
        """PLP202 for every name that is neither an operation nor a flow."""
        found = []
        for name, spec in self._operations.items():
            for index, named in enumerate(spec.after or ()):
                if named not in self._operations and named not in self._members:
                    path = ("operations", name, "after", index)
                    found.append(unknown_operation(named, [*self._operations, *self._members], path))
        return found


def unknown_operation(name: str, known: Sequence[str], path: Path) -> Diagnostic:
    """PLP202, with a near miss where there is one."""
    hint = did_you_mean(name, known) or "declare the operation, or take its name out"
    return Diagnostic("PLP202", f"no operation or flow has the name: {name}", path=path, hint=hint)
