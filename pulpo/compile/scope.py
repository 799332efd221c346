"""The names that a generated module imports: decided before anything is printed, so that nothing shadows anything."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from keyword import iskeyword
from typing import TYPE_CHECKING, TypeAlias

from pulpo.compile.flow import FlowDefinition
from pulpo.compile.identifiers import RESERVED, RUNTIME, Names
from pulpo.compile.imports import Import, statements
from pulpo.compile.literals import annotation, laid_out, one_a_line, taken
from pulpo.compile.modules import flow_key, own_steps
from pulpo.compile.parameter_schema import parameter_texts
from pulpo.manifest.model import Mode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from pulpo.compile.flow import Argument, FlowParameter, Step
    from pulpo.compile.modules import Layout, Module
    from pulpo.compile.parameter_schema import ParameterText
    from pulpo.manifest.model import Manifest

_PACKAGE = "run_cache.orchestration"
_INDENT = 4
#: What two parameters have in common that have one alias: the Python type, the schema, and its definitions, as JSON.
_Meaning: TypeAlias = tuple[str, str, str]


class Scope:
    """What a generated module calls what it uses, and the imports of what was asked for."""

    def __init__(self, module: Module, layout: Layout, manifest: Manifest) -> None:
        self._layout = layout
        self._manifest = manifest
        self._has_tasks = module.has_tasks
        self._any = False
        self._annotated = False
        self._used: dict[tuple[str, str], None] = {}
        steps = [*own_steps(module.flows)]
        inside = {name for step in steps for name in argument_names(step)} if module.has_tasks else set()
        defined = {layout.flow(flow).function for flow in module.flows}
        defined |= {layout.task(step.operation).function for step in steps} if module.has_tasks else set()
        names = Names(RESERVED | defined)
        flow_parameters = module.flow_parameters
        self._runtime = {}
        for name in sorted(RUNTIME):
            # A task's body has `call`, and a flow's all others.
            shadowing = inside if name == "call" else flow_parameters
            self._runtime[name] = name if name not in shadowing else names.add(f"pulpo_{name}", shadowing)
        self._local = self._locals(self._wanted(module, steps, flow_parameters), names)
        self._aliases: dict[_Meaning, str] = {}
        for flow in sorted(module.flows, key=flow_key):
            texts = parameter_texts(flow)
            for parameter in flow.parameters:
                meaning = _meaning(parameter, texts[parameter.name])
                if not texts[parameter.name].is_plain and meaning not in self._aliases:
                    self._aliases[meaning] = names.add(_camel(parameter.name), flow_parameters)

    def _wanted(
        self, module: Module, steps: list[Step], flow_parameters: frozenset[str]
    ) -> dict[tuple[str, str], tuple[str, set[str]]]:
        """All that may be imported: by module and name the other name it may have, and the names that would shadow it."""
        wanted: dict[tuple[str, str], tuple[str, set[str]]] = {}

        def want(where: str, name: str, other: str, shadowing: Iterable[str] = ()) -> None:
            first, known = wanted.get((where, name), (other, set()))
            wanted[where, name] = (min(first, other), known | set(shadowing))

        for step in steps:
            for _, entrypoint in step.parameter_objects:
                where, name = _split(entrypoint)
                want(where, name, name, flow_parameters)
            if not module.has_tasks:
                place = self._layout.task(step.operation)
                want(f"{_PACKAGE}.{place.stem}", place.function, place.function, flow_parameters)
                continue
            where, name = _split(step.entrypoint)
            want(where, name, step.operation.replace(".", "_") if name.islower() else name, argument_names(step))
            for model in {*(a.model for a in step.arguments), *(o.model for o in step.outputs)}:
                if found := self._manifest.models[model].entrypoint:
                    where, name = _split(found)
                    want(where, name, model)
        for member in (m for flow in module.flows for m in flow.members if isinstance(m, FlowDefinition)):
            place = self._layout.flow(member)
            if place.stem != module.stem:
                want(f"{_PACKAGE}.{place.stem}", place.function, place.function, flow_parameters)
        return wanted

    def _locals(self, wanted: Mapping[tuple[str, str], tuple[str, set[str]]], names: Names) -> dict[tuple[str, str], str]:
        """Each its own name where nothing else has it."""
        uses = Counter(name for _, name in wanted)
        keep = {key for key, (_, shadowing) in wanted.items() if uses[key[1]] == 1 and key[1] not in names}
        keep = {key for key in keep if key[1] not in wanted[key][1]}
        local = {key: names.add(key[1]) for key in sorted(keep)}
        for key in sorted(set(wanted) - keep):
            other, shadowing = wanted[key]
            local[key] = names.add(other, {key[1], *shadowing})
        return local

    def _use(self, where: str, name: str) -> str:
        self._used[where, name] = None
        return self._local[where, name]

    def _entrypoint(self, entrypoint: str) -> str:
        where, name = _split(entrypoint)
        rest = entrypoint.partition(":")[2].removeprefix(name)
        return self._use(where, name) + rest

    def function(self, entrypoint: str) -> str:
        """An operation's function."""
        return self._entrypoint(entrypoint)

    def parameter_object(self, entrypoint: str) -> str:
        """The class of an argument that is built from parameters."""
        return self._entrypoint(entrypoint)

    def model(self, name: str) -> str:
        """The type of a model's records."""
        entrypoint = self._manifest.models[name].entrypoint
        return self._entrypoint(entrypoint) if entrypoint else self._typed("dict[str, Any]")

    def annotation(self, schema: Mapping[str, Any], default: object) -> str:
        """The type of a parameter."""
        return self._typed(annotation(schema, default))

    def parameter(self, parameter: FlowParameter, text: ParameterText) -> str:
        """The type of a flow's parameter: where Python's does not say all of its schema, the alias that does."""
        return self.annotation(parameter.schema, parameter.default) if text.is_plain else self._aliases[_meaning(parameter, text)]

    def aliases(self) -> tuple[str, ...]:
        """The statements of all such aliases of the module, sorted by name."""
        texts = []
        for (kind, says, definitions), name in sorted(self._aliases.items(), key=lambda item: item[1]):
            self._annotated = True
            given = {**json.loads(says), **({"definitions": json.loads(definitions)} if definitions != "{}" else {})}
            plain = {key: value for key, value in given.items() if key.isidentifier() and not iskeyword(key)}
            words = [f"{key}={laid_out(value, 8, len(key) + 1)}" for key, value in sorted(plain.items())]
            if others := {key: value for key, value in given.items() if key not in plain}:
                words.append(f"**{laid_out(others, 8, 2)}")
            call = f"{self.runtime('schema')}({one_a_line(words, 4)})"
            texts.append(f"{name} = Annotated[{one_a_line([self._typed(kind), call], 0)}]")
        return tuple(texts)

    def _typed(self, text: str) -> str:
        self._any = self._any or "Any" in text
        return text

    def typed(self, step: Step) -> dict[str, str]:
        """The types of what a task takes, by name: arguments, parameters, and objects made of parameters."""
        found = {argument.name: self._argument(argument) for argument in step.arguments}
        found |= {p.name: self._typed(taken(p.schema, p.default)) for p in step.parameters if p.argument is None}
        return found | {name: self.parameter_object(entrypoint) for name, entrypoint in step.parameter_objects}

    def _argument(self, argument: Argument) -> str:
        model = self.model(argument.model)
        one = f"list[{model}]" if argument.many or argument.mode is Mode.ALL else model
        kind = f"dict[str, {one}]" if argument.mode is Mode.KEYED else one
        return f"{kind} | None" if argument.optional else kind

    def flow(self, flow: FlowDefinition) -> str:
        """The function of a flow, of this module or another."""
        place = self._layout.flow(flow)
        key = (f"{_PACKAGE}.{place.stem}", place.function)
        return self._use(*key) if key in self._local else place.function

    def task(self, operation: str) -> str:
        """The task of an operation, of this module or another."""
        place = self._layout.task(operation)
        return place.function if self._has_tasks else self._use(f"{_PACKAGE}.{place.stem}", place.function)

    def runtime(self, name: str) -> str:
        """A name of `pulpo.run.prefect`."""
        self._used["pulpo.run.prefect", name] = None
        return self._runtime[name]

    def standard(self, module: str) -> tuple[str, ...]:
        """Imports of the standard library, that of a module among them."""
        typing = [*(("Annotated",) if self._annotated else ()), *(("Any",) if self._any else ())]
        return (f"import {module}", *([f"from typing import {', '.join(typing)}"] if typing else []))

    def frameworks(self) -> tuple[str, ...]:
        """Imports of Prefect and of Pulpo."""
        found = [Import("prefect", name, name) for name in ("State", "flow", *(("task",) if self._has_tasks else ()))]
        if self._has_tasks:
            found.append(Import("prefect.cache_policies", "NO_CACHE", "NO_CACHE"))
        found += [Import(where, name, self._runtime[name]) for where, name in self._used if where == "pulpo.run.prefect"]
        return statements(found)

    def user(self) -> tuple[tuple[str, ...], ...]:
        """Imports of the project's own modules, apart for each package on top: where those lie is not known here."""
        found = [Import(w, name, self._local[w, name]) for w, name in sorted(self._used) if (w, name) in self._local]
        ordered = sorted(found, key=lambda one: one.module.partition(".")[0])
        groups = itertools.groupby(ordered, key=lambda one: one.module.partition(".")[0])
        return tuple(statements(group, _INDENT) for _, group in groups)


def argument_names(step: Step) -> set[str]:
    """What the parameters of a step's task are called."""
    plain = {p.name for p in step.parameters if p.argument is None}
    return {*(a.name for a in step.arguments), *plain, *dict(step.parameter_objects)}


def _meaning(parameter: FlowParameter, text: ParameterText) -> _Meaning:
    kind = annotation(parameter.schema, parameter.default)
    return kind, json.dumps(text.schema, sort_keys=True), json.dumps(text.definitions, sort_keys=True)


def _camel(name: str) -> str:
    """`fetch.late_after` as `FetchLateAfter`."""
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[._]+", name)) or "Value"


def _split(entrypoint: str) -> tuple[str, str]:
    """The module, and of the rest what is imported from it."""
    module, _, path = entrypoint.partition(":")
    return module, path.partition(".")[0]
