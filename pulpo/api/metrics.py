"""`/metrics`: what Prometheus asks for, in its own text format."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily

if TYPE_CHECKING:
    from fastapi import FastAPI
    from prometheus_client import Metric

    from pulpo.api.context import Context

_MEDIA_TYPE: Final = "text/plain; version=0.0.4"
#: All others count as one: a client can send any word.
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The figures of one app; nothing is shared with other apps of the process."""

    def __init__(self, app: FastAPI) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "pulpo_api_requests", "Requests that were answered.", ("method", "route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "pulpo_api_request_seconds",
            "Seconds from a request to the end of its answer.",
            ("method", "route"),
            registry=self.registry,
        )
        self._in_progress = Gauge("pulpo_api_requests_in_progress", "Requests without a whole answer.", registry=self.registry)
        self.registry.register(_Runs(app))
        ProcessCollector(registry=self.registry)
        # Looking up what has these labels takes longer than counting.
        self._answered = functools.cache(self._requests.labels)
        self._timed = functools.cache(self._seconds.labels)

    def in_progress(self) -> AbstractContextManager[None]:
        """A request within it is not answered yet."""
        return self._in_progress.track_inprogress()

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request is answered; a status of 0 is that of a client that went away."""
        method = method if method in _METHODS else "OTHER"
        self._answered(method, route, status).inc()
        self._timed(method, route).observe(seconds)


class _Runs:
    """The runs that go on in this process, counted when somebody asks."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def collect(self) -> Iterable[Metric]:
        """As the registry asks for it."""
        runner = self._app.state.context.runner
        running = 0 if runner is None else len(runner.running)
        yield GaugeMetricFamily("pulpo_api_runs_in_progress", "Runs that go on in this process.", value=running)


def router(context: Context) -> APIRouter:  # noqa: ARG001 - all routers are made alike
    """The route `/metrics`."""
    routes = APIRouter(tags=["health"])

    @routes.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}})
    async def metrics(request: Request) -> Response:
        """Figures for Prometheus: requests by route and status, their times, runs that go on, and the process."""
        found: Metrics = request.app.state.metrics
        return Response(generate_latest(found.registry), media_type=_MEDIA_TYPE)

    return routes


def install(app: FastAPI, context: Context) -> None:  # noqa: ARG001 - all are installed alike
    """Give the app its figures."""
    app.state.metrics = Metrics(app)
