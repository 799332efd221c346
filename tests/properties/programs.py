"""Random projects as people write them: source text with decorators, whose functions are told by `deeds`."""

from __future__ import annotations

import copy
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from pulpo.compile.flow import FlowDefinition
from pulpo.declare.registry import REGISTRY
from pulpo.diagnostics import Diagnostic, errors
from pulpo.graph.dataflow import analyze
from pulpo.graph.resolve import resolve
from pulpo.lock.update import lock
from pulpo.manifest.model import Manifest
from pulpo.settings import find_project
from tests.graph.strategies import MODELS, layered, operation

Data = dict[str, Any]

HEAD = """\
from typing import Annotated

from deeds import Deed, Out
from pulpo import From, Previous, operation
from shop.models import Ma, Mb, Mc, Md, Me, Options
"""
OPTIONS = """
class Options(BaseModel):
    factor: int = 2

NAME = "name"
"""
#: Types and defaults of parameters; the first one more often, so that operations agree.
_PARAMETERS = [("int", "3"), ("int", "3"), ("int", "4"), ("str", "'x'"), ("int", None), ("str", None)]
_SELECTS = [".*", "a.*", "**.x", "*", "b.*.y", ".u"]


@dataclass(slots=True)
class Program:
    """A project: the entries of its manifest as its code says them, and what its functions do beside that."""

    #: Nothing is resolved in them.
    entries: dict[str, Data]
    #: Parameters of each operation: name, type and default.
    parameters: dict[str, list[tuple[str, str, str | None]]] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    #: Records in lists, by operation.
    sizes: dict[str, int] = field(default_factory=dict)
    keyed: tuple[str, ...] = ()
    #: Which of the parameters that have a default are given a value; which flow is run; what the store holds before.
    chance: int = 0
    part: int | None = None
    again: bool = False

    def manifest(self) -> Manifest:
        """The entries alone, as `pulpo lock` would have them before resolving."""
        entries = {name: {"entrypoint": "shop:work", **entry} for name, entry in self.entries.items()}
        data = {"version": 1, "project": {"name": "shop"}, "models": {m: {} for m in MODELS}, "operations": entries}
        return Manifest.model_validate(copy.deepcopy(data))

    def write(self, directory: Path, order: random.Random | None = None) -> Path:
        """The project's files, declarations in the order of their names or in one that `order` makes."""
        package = directory / "shop"
        package.mkdir(parents=True, exist_ok=True)
        (directory / "pyproject.toml").write_text('[tool.pulpo]\nname = "shop"\nmodules = ["shop"]\n')
        shutil.copy(Path(__file__).with_name("deeds.py"), directory)
        (package / "__init__.py").touch()
        models = [f"\n@datamodel({'key=NAME' if m in self.keyed else ''})\nclass {m}(Record): ...\n" for m in MODELS]
        modules: dict[str, list[str]] = {}
        for name in sorted(self.entries):
            root, _, rest = name.rpartition(".")[0].partition(".")[0] or "alone", ".", name
            modules.setdefault(root, []).append(self._function(name, rest.rpartition(".")[2], modules.get(root, [])))
        if order is not None:
            for declarations in [models, *modules.values()]:
                order.shuffle(declarations)
        head = "from deeds import Record\nfrom pulpo import datamodel\nfrom pydantic import BaseModel\n"
        (package / "models.py").write_text(head + OPTIONS + "".join(models))
        for root, functions in modules.items():
            (package / f"{root}.py").write_text(HEAD + "".join(functions))
        return directory

    def _function(self, name: str, word: str, others: list[str]) -> str:
        """Called as the last word of its name, if no other of its module is."""
        entry = self.entries[name]
        function = name.replace(".", "_") if any(f"def {word}(" in other for other in others) else word
        taken = {**{p: _annotation(data) for p, data in entry["inputs"].items()}}
        parameters = sorted(self.parameters.get(name, []), key=lambda p: p[2] is not None)
        signature = [f"{p}: {text}" for p, text in taken.items()]
        signature += [f"{p}: {type_}{'' if default is None else f' = {default}'}" for p, type_, default in parameters]
        settings = {k: v for k, v in entry.items() if k not in ("entrypoint", "inputs", "outputs", "async", "parameters")}
        options = settings.pop("x-options", False)
        if options:
            settings["inputs"] = "Options"
            signature.insert(len(taken), "options: Options")
        models = ("models_in", "models_out")
        words = "".join(
            f", {k}={v if k == 'inputs' else '[' + ', '.join(v) + ']' if k in models else repr(v)}" for k, v in settings.items()
        )
        names = [text.partition(":")[0] for text in signature]
        is_async = entry.get("async", False)
        call = f"{'await ' if is_async else ''}DEED.do{'_async' if is_async else ''}({', '.join(f'{n}={n}' for n in names)})"
        return (
            f'\n\n@operation("{name}"{words})\n{"async " if is_async else ""}def {function}({", ".join(signature)})'
            f" -> {_returned(entry)}:\n    return {call.replace('DEED', self._deed(name))}\n"
        )

    def _deed(self, name: str) -> str:
        entry = self.entries[name]
        outputs = []
        for o in entry["outputs"]:
            shape = "many" if o.get("many") else "maybe" if o.get("optional") else "one"
            outputs.append(f'Out({o["model"]}, "{shape}", {self.sizes.get(name, 2) if shape == "many" else 1})')
        put_out = {o["model"] for o in entry["outputs"]}
        keeps = [p for p, data in entry["inputs"].items() if data["model"] in put_out and data.get("mode") != "previous"]
        text = f'"{name}", ({"".join(f"{o}, " for o in outputs)}), keeps={tuple(keeps)!r}'
        return f"Deed({text}, fault={self.faults.get(name, '')!r}, spoils={bool(entry.get('retries'))})"

    def values(self, flow: FlowDefinition) -> dict[str, object]:
        """Values for the parameters of a flow: all that it needs, some of the others."""
        found: dict[str, object] = {}
        for number, p in enumerate(flow.parameters):
            if p.required or (self.chance >> number % 16) & 1:
                found[p.name] = 70 + number if p.schema.get("type") == "integer" else f"word{number}"
        return found

    def target(self, flows: tuple[str, ...]) -> str:
        """The flow to run: the whole, or one of those that there are."""
        return "pipeline" if self.part is None else flows[self.part % len(flows)]


def _annotation(data: Data) -> str:
    model, mode, many = data["model"], data.get("mode"), data.get("many")
    text = {
        "all": f"list[{model}]",
        "keyed": f"dict[str, {f'list[{model}]' if many else model}]",
        "previous": f"Previous[{f'list[{model}]' if many else model}]",
    }.get(mode or "", model)
    if data.get("select"):
        text = f"Annotated[{text}, From({', '.join(map(repr, data['select']))})]"
    return text + (" | None" if data.get("optional") else "")


def _returned(entry: Data) -> str:
    outputs = [
        f"list[{o['model']}]" if o.get("many") else o["model"] + (" | None" if o.get("optional") else "")
        for o in entry["outputs"]
    ]
    return "None" if not outputs else outputs[0] if len(outputs) == 1 else f"tuple[{', '.join(outputs)}]"


def locked(directory: Path) -> Manifest:
    """What `pulpo lock` writes, in this process."""
    with own_modules():
        REGISTRY.reset()
        return lock(find_project(directory)).manifest


@contextmanager
def own_modules() -> Iterator[None]:
    """A project's modules are imported anew, and forgotten after it."""
    path = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = path
        for name in [n for n in sys.modules if n.partition(".")[0] in ("shop", "deeds", "run_cache")]:
            del sys.modules[name]


def _problems(program: Program) -> list[Diagnostic]:
    unresolved = program.manifest().in_order()
    resolution = resolve(unresolved)
    found = errors(resolution.diagnostics)
    return found or errors(analyze(Manifest.model_validate(resolution.apply(unresolved.data()))).diagnostics)


def resolved(program: Program) -> Manifest:
    """The entries, by name as `pulpo lock` has them, with the answers of all inferences."""
    unresolved = program.manifest().in_order()
    return Manifest.model_validate(resolve(unresolved).apply(unresolved.data()))


def _repair(program: Program) -> None:
    """Takes away what can't be: the inputs that problems are about, and those of which nobody makes records."""
    for _ in range(8):
        found = _problems(program)
        if not found:
            break
        for problem in found:
            path = problem.path or ()
            assume(len(path) > 2 and path[0] == "operations" and path[2] == "inputs")
            inputs = program.entries[str(path[1])]["inputs"]
            name = str(path[3]) if len(path) > 3 else next(reversed(inputs), "")
            inputs.pop(name, None)
    assume(not _problems(program))
    for name, spec in resolved(program).operations.items():
        for parameter, given_ in spec.inputs.items():
            data = program.entries[name]["inputs"][parameter]
            if data.get("mode") == "previous" and not data.get("many"):
                data["optional"] = True
            elif not given_.sources:
                del program.entries[name]["inputs"][parameter]
    assume(not _problems(program))


def _tried(program: Program, change: Callable[[Program], None]) -> None:
    """The change, if the project is right with it."""
    before = copy.deepcopy(program.entries)
    change(program)
    if _problems(program):
        program.entries = before


@st.composite
def programs(draw: st.DrawFn, *, max_size: int = 8, faults: bool = True, parts: bool = True) -> Program:
    """Projects that `pulpo lock` takes, of flows up to three levels deep.

    Without `faults` no operation fails, and each one that can be called is called at least once. `parts` may run a flow alone.
    """
    entries = draw(layered(max_size=max_size)).data()["operations"]
    program = Program({name: dict(entry) for name, entry in entries.items()}, chance=draw(st.integers(0, 2**16 - 1)))
    for entry in program.entries.values():
        entry["inputs"] = {k: dict(v) for k, v in entry.get("inputs", {}).items()}
        entry["outputs"] = [dict(o) for o in entry.get("outputs", [])]
        for data in entry["inputs"].values():
            if data.get("mode") in ("keyed", "previous"):
                data["many"] = draw(st.booleans())
    _repair(program)
    _pair(draw, program)
    for name in sorted(program.entries):
        _settle(draw, program, name, faults=faults)
    _order(draw, program)
    program.keyed = tuple(draw(st.lists(st.sampled_from(MODELS), unique=True)))
    program.again = draw(st.booleans())
    program.part = draw(st.integers(0, 30)) if parts and draw(st.integers(0, 3)) == 0 else None
    return program


def _settle(draw: st.DrawFn, program: Program, name: str, *, faults: bool) -> None:
    entry = program.entries[name]
    entry["async"] = draw(st.booleans())
    program.sizes[name] = draw(st.integers(0 if faults else 1, 3))
    program.parameters[name] = [
        (p, *draw(st.sampled_from(_PARAMETERS)))
        for p in draw(st.lists(st.sampled_from(["limit", "word"]), max_size=2, unique=True) | st.just([]))
    ]
    if draw(st.integers(0, 6)) == 0:
        entry["x-options"] = True
    for parameter in list(entry["inputs"]):
        if draw(st.integers(0, 5)) == 0 and entry["inputs"][parameter].get("mode") != "previous":
            select = draw(st.lists(st.sampled_from(_SELECTS), min_size=1, max_size=2))
            _tried(program, lambda p, key=parameter, select=select: p.entries[name]["inputs"][key].update(select=select))
    entry = program.entries[name]
    if not faults:
        return
    for output in entry["outputs"]:
        if not output.get("many") and draw(st.integers(0, 4)) == 0:
            output["optional"] = True
    if draw(st.integers(0, 5)) == 0:
        entry["on_error"] = "skip"
    if draw(st.integers(0, 5)) == 0:
        entry |= {"retries": draw(st.integers(1, 2)), "retry_delay": 0.01}
    if draw(st.integers(0, 9)) == 0:
        entry["cache"] = {"ttl": 3600}
    if draw(st.integers(0, 3)) == 0:
        program.faults[name] = draw(st.sampled_from(["once", "some", "some", "always", "wrong"]))
        if entry.get("on_error") != "skip":
            entry["concurrency"] = 1  # else which call fails first is a matter of luck


def _pair(draw: st.DrawFn, program: Program) -> None:
    """An operation that takes each producer of a model by its name."""
    makers: dict[str, list[str]] = {}
    for name, entry in sorted(program.entries.items()):
        for output in entry["outputs"]:
            makers.setdefault(output["model"], []).append(name)
    fitting = {model: sorted(set(names)) for model, names in makers.items() if 2 <= len(set(names)) <= 3}
    if not fitting or draw(st.booleans()):
        return
    model = draw(st.sampled_from(sorted(fitting)))
    words: dict[str, None] = {}
    for name in fitting[model]:
        others = {s for other in fitting[model] if other != name for s in other.split(".")}
        words |= dict.fromkeys([s for s in reversed(name.split(".")) if s not in others][:1])
    shape = draw(st.sampled_from(["{}", "list[{}]"]))
    taken = dict.fromkeys(words, shape.format(model))
    name = draw(st.sampled_from(["pair", "a.pair", "c.b.pair"]))
    if name not in program.entries and len(words) == len(fitting[model]):
        _tried(program, lambda p: p.entries.update({name: operation(dict(taken), draw(st.sampled_from(["", "Me"])) or ())}))


def _order(draw: st.DrawFn, program: Program) -> None:
    """Order without data: after operations that are before anyway, and flows."""
    known = sorted({*program.entries, *(name.rpartition(".")[0] for name in program.entries if "." in name)})
    for name in sorted(program.entries):
        if draw(st.integers(0, 4)) == 0:
            after = draw(st.lists(st.sampled_from(known), min_size=1, max_size=2, unique=True))
            _tried(program, lambda p, after=after, name=name: p.entries[name].update(after=after))


#: A bit of everything: levels, modes, an updater, a flow that is left and entered again, parameters that differ.
SAMPLE = Program(
    {
        "a.a.u": {"inputs": {}, "outputs": [{"model": "Ma", "many": True}, {"model": "Mb"}], "async": True},
        "a.b.u": {"inputs": {}, "outputs": [{"model": "Ma", "optional": True}], "async": False, "retries": 1, "retry_delay": 0.01},
        "b.y": {"inputs": {"p0": {"model": "Ma"}}, "outputs": [{"model": "Mc"}], "async": False, "on_error": "skip"},
        "b.z": {"inputs": {"p0": {"model": "Mb"}}, "outputs": [{"model": "Mb"}], "async": True, "x-options": True},
        "a.z": {
            "inputs": {
                "p0": {"model": "Mc", "mode": "all"},
                "p1": {"model": "Ma", "mode": "keyed", "many": True},
                "p2": {"model": "Md", "mode": "previous", "optional": True},
            },
            "outputs": [{"model": "Md"}],
            "async": False,
        },
        "w": {"inputs": {"p0": {"model": "Mb"}}, "outputs": [], "async": True, "after": ["a.a", "b"]},
        "x": {"inputs": {"p0": {"model": "Md"}}, "outputs": [{"model": "Me"}], "async": False, "cache": {"ttl": 60}},
    },
    parameters={"a.a.u": [("limit", "int", "3")], "a.b.u": [("limit", "int", "4")], "w": [("word", "str", "'x'")]},
    faults={"a.b.u": "once", "b.y": "some"},
    keyed=("Ma", "Mb"),
)  # fmt: skip
