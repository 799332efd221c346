"""Task runners of Prefect's extras, for flows whose operations run elsewhere: what `task_runner` in generated text is."""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from pulpo.compile.task_runner import TaskRunner as Said
from pulpo.compile.task_runner import task_runner_of
from pulpo.errors import DiagnosticsError, UsageError
from pulpo.manifest.flow import FlowSpec
from pulpo.manifest.references import resolve
from pulpo.run.prefect.project import has_server
from pulpo.run.prefect.tagged import leave_tags

_CLASSES = {"dask": ("prefect_dask", "DaskTaskRunner"), "ray": ("prefect_ray", "RayTaskRunner")}


def dask(**options: Any) -> TaskRunner[Any]:
    """Prefect's `DaskTaskRunner` with these options, in which `${NAME}` stands for an environment variable."""
    return Elsewhere(Said("dask", options))


def ray(**options: Any) -> TaskRunner[Any]:
    """Prefect's `RayTaskRunner` with these options, in which `${NAME}` stands for an environment variable."""
    return Elsewhere(Said("ray", options))


def make(said: Said) -> TaskRunner[Any]:
    """The task runner itself, which has started nothing yet; references in its options are resolved.

    Raises:
        UsageError: Its extra is not installed, no server is configured, an environment variable is not set, or it does not take
            the options.
    """
    kind = said.kind
    module, name = _CLASSES[kind]
    try:
        found = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise UsageError(f"task_runner {kind} needs its extra", hint=f"pip install 'pulpocore[{kind}]'") from error
    if not has_server():  # each worker would start one of its own
        raise UsageError(
            f"task_runner {kind} needs a Prefect server that its workers reach, and none is configured",
            hint="`prefect server start` starts one; set PREFECT_API_URL",
        )
    if kind == "ray":
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    flow = {"task_runner_options": dict(said.options)}
    try:
        resolved = resolve({"flows": {kind: flow}}, os.environ).data["flows"][kind]["task_runner_options"]
    except DiagnosticsError as error:
        problems = "; ".join(problem.message for problem in error.diagnostics)
        raise UsageError(f"the options of task_runner {kind}: {problems}") from error
    try:
        runner: TaskRunner[Any] = found(**resolved)
    except (TypeError, ValueError, ImportError, AttributeError) as error:
        raise UsageError(f"{name} does not take the task_runner_options: {error}") from error
    return runner


def check(flows: Mapping[str, FlowSpec], operations: Iterable[str]) -> None:
    """Finds out before anything begins whether the task runners that operations go to can be made.

    Raises:
        UsageError: One can't.
    """
    for runner in {repr(one): one for name in operations if (one := task_runner_of(flows, name))}.values():
        make(runner)


class Elsewhere(TaskRunner[PrefectFuture[Any]]):
    """A task runner as it is written down: what its options stand for is known when a flow run begins, which duplicates it."""

    def __init__(self, said: Said) -> None:
        """Nothing is imported, looked up or started."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.said = said

    def __eq__(self, other: object) -> bool:
        """Whether it is written the same."""
        return isinstance(other, Elsewhere) and self.said == other.said

    __hash__ = None  # type: ignore[assignment] # as other task runners

    def duplicate(self) -> Any:
        """The task runner itself; raises what `make` does."""
        return make(self.said)

    def submit(self, *_: Any, **__: Any) -> Any:
        """Prefect submits to duplicates only."""
        raise NotImplementedError


@dataclass(slots=True, eq=False)
class Cluster:
    """A task runner that a flow run has started, for its steps and those of the flows in it."""

    runner: TaskRunner[Any]
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _is_started: bool = False

    async def started(self) -> TaskRunner[Any]:
        """The task runner once its cluster is there: Dask's is made with the first step, in a thread.

        Raises:
            Exception: It can't be made, or reached.
        """
        async with self._starting:
            if not self._is_started:
                await asyncio.to_thread(getattr, self.runner, "client", None)
                self._is_started = True
        return self.runner


#: Where the steps of the flow go whose body this is; None for its own process.
CLUSTER: contextvars.ContextVar[Cluster | None] = contextvars.ContextVar("pulpo_cluster", default=None)


def enter_flow() -> None:
    """The body of a flow begins: its steps go to the task runner of its flow run.

    If that is equal to the one of the flow around it, they go there: a cluster serves all flows that it holds for. The flow's
    own tags are not theirs.
    """
    leave_tags()
    context = FlowRunContext.get()
    own = context.task_runner if context is not None else None
    outer = CLUSTER.get()
    if own is None or isinstance(own, ThreadPoolTaskRunner):
        CLUSTER.set(None)
    elif outer is None or outer.runner != own:
        CLUSTER.set(Cluster(own))
