"""Work pools as the manifest means them: what they are called, and whose worker takes their runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from pulpo.manifest.addresses import is_managed
from pulpo.manifest.flow import WorkPoolSpec
from pulpo.manifest.references import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pulpo.diagnostics import Locate
    from pulpo.manifest.model import Manifest

_PROCESS: Final = "process"


def work_pool_name(pool: WorkPoolSpec, project: str) -> str:
    """What a work pool is called; one that says no name is the project's, of its type."""
    return pool.name or f"{project}-{pool.type}"


def process_pools(manifest: Manifest, environ: Mapping[str, str], locate: Locate = lambda _: None) -> list[str]:
    """The names of the work pools of processes that the lock's flows have, and of the one that they have by default, sorted.

    Raises:
        DiagnosticsError: Variables are not set that they refer to.
    """
    said = {name: {"work_pool": flow.work_pool.data()} for name, flow in manifest.flows.items() if flow.work_pool is not None}
    resolved = resolve({"flows": said}, environ, locate).data["flows"]
    pools = [WorkPoolSpec(), *(WorkPoolSpec.model_validate(flow["work_pool"]) for flow in resolved.values())]
    return sorted({work_pool_name(pool, manifest.project.name) for pool in pools if pool.type == _PROCESS})


def has_worker(manifest: Manifest, pool: str, environ: Mapping[str, str] = os.environ, locate: Locate = lambda _: None) -> bool:
    """Whether the service `worker` is one that takes the runs of a work pool, on the server that this process talks to.

    Raises:
        DiagnosticsError: Variables are not set that work pools refer to.
    """
    elsewhere = bool(environ.get("PREFECT_API_URL")) and is_managed(manifest, "prefect")  # a service is told the project's own
    return is_managed(manifest, "worker") and not elsewhere and pool in process_pools(manifest, environ, locate)
