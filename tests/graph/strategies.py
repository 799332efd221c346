"""Manifests for the tests of the graph: a builder in the words of signatures, and random ones."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import strategies as st

from pulpo.graph.resolve import resolve
from pulpo.manifest.model import Manifest

MODELS = ("Ma", "Mb", "Mc", "Md", "Me")


def given(annotation: str, *select: str) -> dict[str, Any]:
    """An input as `pulpo lock` writes it from an annotation, before anything is resolved."""
    optional = annotation.endswith(" | None")
    annotation = annotation.removesuffix(" | None")
    shapes: list[tuple[str, dict[str, Any]]] = [
        (r"list\[(\w+)\]", {"mode": "all"}),
        (r"dict\[str, (\w+)\]", {"mode": "keyed"}),
        (r"dict\[str, list\[(\w+)\]\]", {"mode": "keyed", "many": True}),
        (r"Previous\[(\w+)\]", {"mode": "previous"}),
        (r"(\w+)", {}),
    ]
    data = next({"model": match[1], **extra} for shape, extra in shapes if (match := re.fullmatch(shape, annotation)))
    return data | ({"optional": True} if optional else {}) | ({"select": list(select)} if select else {})


def operation(
    takes: dict[str, str | tuple[str, ...]] | None = None, returns: str | tuple[str, ...] = (), **settings: Any
) -> dict[str, Any]:
    """An entry: `takes` gives annotations, with `From` patterns after them; `returns` one annotation or several."""
    inputs = {
        name: given(*((annotation,) if isinstance(annotation, str) else annotation)) for name, annotation in (takes or {}).items()
    }
    outputs = []
    for text in (returns,) if isinstance(returns, str) else returns:
        match = re.fullmatch(r"list\[(\w+)\]", text)
        outputs.append({"model": match[1], "many": True} if match else {"model": text})
    return {"entrypoint": "jobs.operations:run", "inputs": inputs, "outputs": outputs, **settings}


def models_of(operations: dict[str, dict[str, Any]]) -> set[str]:
    used = set()
    for entry in operations.values():
        used |= {data["model"] for data in [*entry["inputs"].values(), *entry["outputs"]]}
        used |= {*entry.get("models_in", ()), *entry.get("models_out", ())}
    return used


def manifest(operations: dict[str, dict[str, Any]], **sections: Any) -> Manifest:
    """A manifest in which nothing is resolved yet; the models that are used are declared."""
    models = {name: {} for name in sorted(models_of(operations))}
    data = {"version": 1, "project": {"name": "jobs"}, "models": models, "operations": operations, **sections}
    return Manifest.model_validate(data)


def locked(operations: dict[str, dict[str, Any]], **sections: Any) -> Manifest:
    """A manifest as `pulpo lock` leaves it, but for segments."""
    unresolved = manifest(operations, **sections)
    return Manifest.model_validate(resolve(unresolved).apply(unresolved.data()))


def codes(diagnostics: Any) -> list[str]:
    return [problem.code for problem in diagnostics]


_segment = st.sampled_from(["a", "b", "c"])
names = st.builds(
    lambda flows, step: ".".join([*flows, step]), st.lists(_segment, max_size=3), st.sampled_from(["u", "v", "w", "x", "y", "z"])
)
_shapes = st.sampled_from(["{}", "list[{}]", "dict[str, {}]", "Previous[{}]", "{} | None", "{}"])
_selects = st.lists(st.sampled_from([".*", "a.*", "**.x", "*", "b.*.y", ".u", "c.w"]), max_size=2)


@st.composite
def _operations(
    draw: st.DrawFn, takes: st.SearchStrategy[str], returns: st.SearchStrategy[str], known: list[str], selects: bool
) -> dict[str, Any]:
    annotations = draw(st.lists(st.builds(str.format, _shapes, takes), max_size=3))
    inputs = {f"p{index}": (text, *(draw(_selects) if selects else ())) for index, text in enumerate(annotations)}
    outputs = tuple(draw(st.lists(st.one_of(returns, returns.map("list[{}]".format)), max_size=2)))
    settings: dict[str, Any] = {}
    if known and draw(st.integers(0, 5)) == 0:
        settings["after"] = draw(st.lists(st.sampled_from(known), min_size=1, max_size=2, unique=True))
    for field, models in (("models_in", takes), ("models_out", returns)):
        if draw(st.integers(0, 7)) == 0:
            settings[field] = [draw(models)]
    return operation(inputs, outputs, **settings)


@st.composite
def manifests(draw: st.DrawFn, *, selects: bool = True, max_size: int = 10) -> Manifest:
    """Any operations over a few models: with cycles, updaters, and inputs that can't be matched."""
    chosen = draw(st.lists(names, unique=True, min_size=1, max_size=max_size))
    models = st.sampled_from(MODELS)
    return manifest({name: draw(_operations(models, models, chosen, selects)) for name in chosen})


@st.composite
def layered(draw: st.DrawFn, *, max_size: int = 14) -> Manifest:
    """Operations that make no cycle: an operation of layer n takes models up to n and returns models from n on."""
    entries: dict[str, dict[str, Any]] = {}
    for name in draw(st.lists(names, unique=True, min_size=1, max_size=max_size)):
        layer = draw(st.integers(0, len(MODELS) - 1))
        entries[name] = draw(_operations(st.sampled_from(MODELS[: layer + 1]), st.sampled_from(MODELS[layer:]), [], False))
    return manifest(entries)
