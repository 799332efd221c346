"""`/operations` and `/operations/{operation}`: what there is to run, and running one by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Route

from pulpo.ui.page import api_of, form_of, page, path_to, see_other
from pulpo.ui.starting import Form, Source, blank, start

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

_REFUSED: Final = 422


def matching(items: Sequence[Mapping[str, Any]], text: str) -> list[Mapping[str, Any]]:
    """The operations or flows in whose name, description or tags all words are."""
    words = text.lower().split()
    return [item for item in items if all(word in _searched(item) for word in words)]


def _searched(item: Mapping[str, Any]) -> str:
    models = [one["model"] for one in (*item.get("inputs", ()), *item.get("outputs", ()))]
    return " ".join([item["name"], item["description"] or "", *item["tags"], *models]).lower()


async def index(request: Request) -> Response:
    """The operations, by the flows that they are in."""
    found = (await api_of(request).get("operations", last="true"))["items"]
    text = request.query_params.get("q", "")
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for operation in matching(found, text):
        groups.setdefault(operation["flow"] or "", []).append(operation)
    return page(request, "operations.html", groups=dict(sorted(groups.items())), total=len(found), text=text)


async def show(request: Request) -> Response:
    """An operation, and the form that runs it."""
    operation = await api_of(request).get("operations", request.path_params["operation"])
    again = request.query_params.get("run")
    run = await api_of(request).get("runs", again) if again else None
    return _shown(request, operation, blank(operation["parameters"], _sources(operation), run), run)


async def run(request: Request) -> Response:
    """Run it, or say what is wrong with how."""
    api, name = api_of(request), request.path_params["operation"]
    operation = await api.get("operations", name)
    typed = {key: str(value) for key, value in (await form_of(request)).items()}
    done = await start(api, ("operations", name), operation["parameters"], _sources(operation), typed)
    if isinstance(done, Form):
        return _shown(request, operation, done, None)
    return see_other(request, path_to("runs", done))


def _shown(request: Request, operation: Mapping[str, Any], form: Form, again: Mapping[str, Any] | None) -> Response:
    status = _REFUSED if form.problem or form.wrong or any(source.errors for source in form.sources) else 200
    return page(
        request, "operation.html", form.problem.status if form.problem else status, operation=operation, form=form, again=again,
        engines=operation["flow"] is None,
    )  # fmt: skip


def _sources(operation: Mapping[str, Any]) -> list[Source]:
    """By itself, an operation takes all its records from outside."""
    taken: dict[str, list[str]] = {}
    for one in operation["inputs"]:
        taken.setdefault(one["model"], []).append(f"{operation['name']}.{one['parameter']}")
    return [Source(model, tuple(arguments), outside=True) for model, arguments in sorted(taken.items())]


ROUTES: Final = (
    Route("/operations", index),
    Route("/operations/{operation}", show),
    Route("/operations/{operation}", run, methods=["POST"]),
)
