"""`/`: the graph, with the states of a run and what is to say of one box.

The address has all of it: `open`, which flows are open (`*` all, none said: as many whole levels as are readable); `run`, whose
states show (none said: the latest run's); `at`, the box that is told about; `find`, a search, which leads to one with `at`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from starlette.routing import Route

from pulpo.names import PIPELINE, did_you_mean, parents
from pulpo.ui import dot
from pulpo.ui.folding import Graph, View, around, fold, graph_of, matches, unfolded
from pulpo.ui.guard import WITH_WASM
from pulpo.ui.page import api_of, page, see_other

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from pulpo.ui.api_client import Api

Run = Mapping[str, Any]

#: Runs that can be chosen, and those that are told of a flow.
_RECENT, _LAST = 20, 5
_ALL: Final = "*"
_MISSING: Final = 404


@dataclass(frozen=True, slots=True)
class Address:
    """What the page's address says; None where it says nothing."""

    open: str | None = None
    run: str | None = None
    at: str | None = None

    def __str__(self) -> str:
        """As a link within the page."""
        said = {"open": self.open, "run": self.run or None, "at": self.at or None}
        return "?" + urlencode({name: value for name, value in said.items() if value is not None}, safe="*,:.")

    def to(self, **changes: str | None) -> Address:
        """Another one."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Folding:
    """A graph, and which of its flows are open."""

    graph: Graph
    opened: frozenset[str]

    @classmethod
    def of(cls, graph: Graph, said: str | None) -> Folding:
        """As an address says."""
        if said is None:
            return cls(graph, unfolded(graph))
        return cls(graph, frozenset(graph.flows) if said == _ALL else frozenset(said.split(",")).intersection(graph.flows))

    def showing(self, key: str | None) -> Folding:
        """With all open that a node or flow lies in."""
        if (node := self.graph.by_key.get(key or "")) is not None:
            return replace(self, opened=self.opened.union(around(node)))
        flow = (key or "").removeprefix("flow:")
        return replace(self, opened=self.opened.union(parents(flow))) if flow in self.graph.flows else self

    def reach(self, address: Address, key: str) -> Address:
        """Where a box shows and is told about."""
        shown = self.showing(key)
        return address.to(at=key, open=address.open if shown == self else str(shown))

    def link(self, address: Address, kind: str, name: str) -> Address:
        """As `reach`, by name."""
        return self.reach(address, self.graph.key_of(kind, name))

    def __str__(self) -> str:
        """As an address says it."""
        return _ALL if self.opened.issuperset(self.graph.flows) else ",".join(sorted(self.opened))


@dataclass(frozen=True, slots=True)
class Details:
    """What is to say of one box: what the API knows of it, by its kind."""

    kind: str
    key: str
    name: str
    data: Mapping[str, Any]
    #: Of an operation, its step of the run that shows.
    step: Mapping[str, Any] | None = None
    #: Of a flow, its last runs.
    runs: Sequence[Run] = ()


async def show(request: Request) -> Response:
    """The graph, and what is to say of one box."""
    api, query = api_of(request), request.query_params
    address = Address(query.get("open"), query.get("run") or None, query.get("at") or None)
    said, models, operations, runs = await asyncio.gather(
        api.get("graph", format="json"), api.get("models"), api.get("operations"), api.get("runs", limit=_RECENT)
    )
    graph = graph_of(said, (model["name"] for model in models["items"]))
    folding = Folding.of(graph, address.open)
    found = matches(graph, query.get("find", ""))
    if len(found) == 1:
        return see_other(request, f"/{folding.reach(address, found[0])}")
    orphans = sorted(item["name"] for item in operations["items"] if item["orphaned"])
    run = await _run(api, address.run, runs["items"])
    details = await _details(api, graph, orphans, address.at, run)
    if address.open is None and folding.showing(address.at) != folding:
        folding = folding.showing(address.at)
        address = address.to(open=str(folding))
    view = fold(graph, folding.opened)
    missing = address.at if details is None else None
    return page(
        request, "graph.html", _MISSING if missing else 200, headers=WITH_WASM, address=address, graph=graph, orphans=orphans,
        drawing=_drawing(view, folding, address, run), dot=dot.text(view), runs=_listed(runs["items"], run), run=run,
        hidden=sum(len(box.holds) for box in view.boxes if box.kind == "flow"), link=partial(folding.link, address),
        details=details, missing=missing, near=missing and did_you_mean(missing, _keys(graph, orphans)), found=found,
        find=query.get("find"),
    )  # fmt: skip


def _keys(graph: Graph, orphans: Collection[str]) -> list[str]:
    return [*graph.by_key, *map(graph.flow_key, graph.flows), *orphans, PIPELINE]


async def _run(api: Api, asked: str | None, recent: Sequence[Run]) -> Run | None:
    """The run whose states show: the one that is asked for, or the latest."""
    if asked is None and not recent:
        return None
    found: Run = await api.get("runs", asked or recent[0]["id"])
    return found


def _listed(recent: Sequence[Run], run: Run | None) -> list[Run]:
    """The runs that can be chosen, the one that shows among them."""
    known = {item["id"] for item in recent}
    return [*recent, *([run] if run and run["id"] not in known else [])]


def _drawing(view: View, folding: Folding, address: Address, run: Run | None) -> dict[str, Any]:
    """What the script has to know that draws the graph."""
    return {
        "boxes": [
            {"key": b.key, "kind": b.kind, "name": b.name, "holds": b.holds if b.kind == "flow" else ()} for b in view.boxes
        ],
        "frames": [{"key": frame.key, "name": frame.name} for frame in view.frames],
        "opened": sorted(folding.opened),
        "address": {"open": address.open, "run": address.run, "at": address.at},
        "run": run and run["id"],
        "states": {step["operation"]: step["state"] for step in run["steps"]} if run else {},
    }


async def _details(api: Api, graph: Graph, orphans: Collection[str], at: str | None, run: Run | None) -> Details | None:
    """What is to say of a box; None where there is no such box."""
    if at is None:
        return None
    node, flow = graph.by_key.get(at), at.removeprefix("flow:")
    if at in orphans or (node is not None and node.kind == "operation"):
        step = next((step for step in run["steps"] if step["operation"] == at), None) if run else None
        return Details("operation", at, at, await api.get("operations", at), step)
    if node is not None:
        return Details("model", at, node.name, await api.get("models", node.name, count="exact"))
    if flow in graph.flows or flow == PIPELINE:
        data, runs = await asyncio.gather(api.get("flows", flow), api.get("runs", flow=flow, limit=_LAST))
        return Details("flow", at, flow, data, runs=runs["items"])
    return None


ROUTES: Final = (Route("/", show),)
