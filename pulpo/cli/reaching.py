"""Whether commands of this machine may talk to a service that the project runs: not where it runs on another one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pulpo.errors import UsageError

if TYPE_CHECKING:
    from pulpo.apply.services.manager import ServiceManager
    from pulpo.manifest.model import Manifest


def out_of_reach(manager: ServiceManager, manifest: Manifest, service: str, variable: str) -> UsageError | None:
    """Why a service is not talked to: it runs on another machine, and no variable says where that is reached from here.

    Its ports are that machine's. On this one they may be somebody else's, such as those of the same project in another
    environment, which would be taken for it.
    """
    from pulpo.manifest.addresses import is_managed

    if os.environ.get(variable) or not is_managed(manifest, service) or not manager.is_remote:
        return None
    return UsageError(
        f"{service} runs on another machine, and where it is reached from here is not said",
        hint=f"set {variable} to its address, or to the end of a tunnel (`ssh -L`)",
    )
