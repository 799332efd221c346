"""What shows of the graph as Graphviz' text, which the browser lays out and draws; CSS gives it its colours."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Final

from pulpo.ui.folding import Box, Frame, View, around

#: Where there are fewer arrows, each leaves at the right and comes in at the left; more of them cross less when they need not.
_FEW: Final = 80
_HEAD: Final = """digraph {
rankdir=LR bgcolor=transparent nodesep=0.16 ranksep=0.42 pad=0.2 fontname=Arial fontsize=11
node [shape=box fontname=Arial fontsize=12 height=0.36 margin="0.13,0.04"]
edge [arrowsize=0.6]"""
#: What is drawn where the state's mark will stand.
_MARK: Final = "●"
#: What stands behind the name of a flow.
_OPEN, _CLOSED = "▾", "▸"
_SHAPES: Final = {"operation": "", "model": "style=rounded", "flow": "peripheries=2"}


def text(view: View) -> str:
    """The text: the ids of boxes are their keys, those of frames begin with `open `."""
    lines = [_HEAD]
    if len(view.arrows) < _FEW:
        lines.append("edge [tailport=e headport=w]")
    if _returns(view):
        lines.append("newrank=true")
    inside = defaultdict[str | None, list[Frame | Box]](list)
    for frame in view.frames:
        inside[frame.flow].append(frame)
    for box in view.boxes:
        inside[box.flow].append(box)
    lines += _within(inside, None)
    lines += _arrows(view)
    return "\n".join([*lines, "}", ""])


def _returns(view: View) -> bool:
    """Whether what is in frames side by side goes back and forth between them: each frame placed as one would point backwards."""
    within = {box.key: (*around(box), f"box {box.key}") for box in view.boxes}
    pairs = {(arrow.source, arrow.target) for arrow in view.arrows}
    levels = defaultdict[tuple[str, ...], TopologicalSorter[str]](TopologicalSorter)
    for source, target in pairs:
        if (target, source) not in pairs:
            a, b = within[source], within[target]
            depth = next(i for i, (one, other) in enumerate(zip(a, b, strict=False)) if one != other)
            levels[a[:depth]].add(b[depth], a[depth])
    try:
        for level in levels.values():
            level.prepare()
    except CycleError:
        return True
    return False


def _arrows(view: View) -> Iterator[str]:
    """Arrows; of an operation that changes records of a model, one line with two heads for both of them."""
    pairs = {(arrow.source, arrow.target) for arrow in view.arrows}
    kinds = {box.key: box.kind for box in view.boxes}
    # Models that something only makes: what changes their records stands behind them.
    made = {target for source, target in pairs if kinds[target] == "model" and (target, source) not in pairs}
    for arrow in view.arrows:
        source, target = kinds[arrow.source], kinds[arrow.target]
        both = (arrow.target, arrow.source) in pairs and {source, target} == {"operation", "model"}
        if both and (arrow.target in made if target == "model" else arrow.source not in made):
            continue
        extra = [*(["dir=both"] if both else []), *(["style=dashed"] if arrow.order else [])]
        yield f"{_quoted(arrow.source)} -> {_quoted(arrow.target)} [{' '.join(extra)}]"


def _within(inside: defaultdict[str | None, list[Frame | Box]], flow: str | None) -> Iterator[str]:
    for thing in inside[flow]:
        attributes = {"id": thing.key, "label": _label(thing), "href": "#"}
        if isinstance(thing, Frame):
            said = _attributes({**attributes, "id": f"open {thing.key}", "labeljust": "l"})
            yield f"subgraph {_quoted(f'cluster {thing.key}')} {{ {said}"
            yield from _within(inside, thing.name)
            yield "}"
        else:
            said = _attributes({**attributes, "class": thing.kind})
            yield f"{_quoted(thing.key)} [{_SHAPES[thing.kind]} {said}]"


def _label(thing: Frame | Box) -> str:
    last = thing.name.rpartition(".")[2]
    if isinstance(thing, Frame):
        return f"{last} {_OPEN}"
    match thing.kind:
        case "model":
            return last
        case "operation":
            return f"{_MARK} {last}"
    return f"{_MARK} {last} ({thing.operations}) {_CLOSED}"


def _attributes(values: dict[str, str]) -> str:
    return " ".join(f"{name}={_quoted(value)}" for name, value in values.items())


def _quoted(said: str) -> str:
    """A string that shows as it is: Graphviz replaces entities such as `&lt;`."""
    return json.dumps(said.replace("&", "&amp;"), ensure_ascii=False)
