"""Deployments as tests want them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pulpo.compile.deployment import Deployment, Schedule, WorkPool

ROOT = Path("/home/me/jobs")
DAILY = Schedule(cron="0 6 * * *", timezone="Europe/Berlin")


def deployment(flow: str, *, project: str = "jobs", environment: str | None = None, **fields: Any) -> Deployment:
    """One that the manifest has; whoever changes a field changes the version, as the manifest does, unless it is said."""
    tags = {f"pulpo.project={project}", *fields.pop("tags", ())}
    if environment:
        tags.add(f"pulpo.environment={environment}")
    stem = flow.replace(".", "_")
    version = fields.pop("version", f"v{abs(hash(repr(sorted(fields.items(), key=lambda f: f[0])))) % 10**11}")
    return Deployment(
        **{
            "flow": flow,
            "name": f"{project}.{environment}" if environment else project,
            "entrypoint": f"run_cache/orchestration/{stem}_flow.py:{stem}_flow",
            "work_pool": WorkPool(f"{project}-process", "process"),
            "tags": tuple(sorted(tags)),
            "version": version,
            **fields,
        }
    )
