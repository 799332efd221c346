"""What is known of processes in the words that hold for containers as well."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from pulpo.apply.services.made import UNTOLD, Made
from pulpo.apply.services.plan import Observed
from pulpo.apply.services.status import ServiceStatus, State
from pulpo.services.state import Status, how_ended

if TYPE_CHECKING:
    from pulpo.services.local import LocalServices
    from pulpo.services.spec import LocalService
    from pulpo.services.state import ServiceState

#: From what needs a look the most to what needs none.
_URGENT: Final = (
    State.FAILED, State.UNREADY, State.RESTARTING, State.STARTING, State.STOPPING, State.ABSENT, State.STOPPED, State.EXITED,
    State.RUNNING,
)  # fmt: skip


def observed(state: ServiceState, services: LocalServices, digest: str | None) -> Observed:
    """For a plan; what runs is looked at where its digest is not the one that is wanted."""
    differs = not state.status.over and digest not in (None, state.digest)
    running = services.running(state) if differs else None
    return Observed(_state(state), {UNTOLD: state.digest}, made_of(running) if running else None)


def made_of(service: LocalService) -> Made:
    """What a process is made from."""
    data = service.data()
    return Made(
        service.said, service.environment, {"command": data["command"], "ports": data["addresses"], "probe": data["probe"]}
    )


def status_of(state: ServiceState, services: LocalServices) -> ServiceStatus:
    """How a process is; with the last lines of its log where it failed or is not ready."""
    now = _state(state)
    return ServiceStatus(
        state.name,
        now,
        since=dt.datetime.fromtimestamp(state.started, dt.UTC) if state.started else None,
        pid=state.pid,
        restarts=state.restarts,
        exit_code=state.exit_code,
        error=_error(state),
        lines=tuple(line.text for line in services.last_lines(state)) if now in (State.FAILED, State.UNREADY) else (),
    )


def most_urgent(statuses: Sequence[ServiceStatus]) -> ServiceStatus:
    """Of the replicas of a service the one to look at."""
    return min(statuses, key=lambda status: _URGENT.index(status.state))


def _state(state: ServiceState) -> State:
    return State.FAILED if state.status is Status.DEAD else State(state.status.value)


def _error(state: ServiceState) -> str | None:
    match state.status:
        case Status.DEAD:
            return "what kept it was killed"
        case Status.FAILED if state.error:
            return state.error
        case Status.FAILED if state.exit_code is not None:
            after = f" after {state.restarts} restarts" if state.restarts else ""
            return f"it ended{after}, {how_ended(state.exit_code)}"
        case Status.UNREADY:
            return "it runs, and was not ready in time"
    return None
