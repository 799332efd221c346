"""Parameters of URLs: one that a route does not know is refused, never ignored."""

from __future__ import annotations

from collections.abc import Collection

from fastapi import Request

from pulpo.api.problems import Fault, invalid
from pulpo.names import did_you_mean


def refuse_unknown(request: Request, known: Collection[str] = ()) -> None:
    """Refuse parameters of the query that are not `known`.

    Raises:
        Problem: 422, with all of them.
    """
    if not request.scope["query_string"]:  # as most requests have none, whose parameters need not be taken apart
        return
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        raise invalid([Fault(("query", name), "there is no such parameter", did_you_mean(name, known)) for name in unknown])


async def known_alone(request: Request) -> None:
    """The same as a dependency of routes: known is what the route declares."""
    refuse_unknown(request, [parameter.alias for parameter in request.scope["route"].dependant.query_params])
