"""Restarts of services, each by a process of Pulpo's own command line that outlives the API: it may be the one restarted."""

from __future__ import annotations

import datetime as dt
import secrets
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final

from pulpo.api.command_line import command
from pulpo.api.problems import Problem
from pulpo.apply.apply_lock import only_one
from pulpo.apply.services.instances import service_of
from pulpo.codes.credentials import without_credentials
from pulpo.errors import UsageError
from pulpo.services.local import LocalServices
from pulpo.services.state import MARK, ServiceFiles, is_held

if TYPE_CHECKING:
    from pathlib import Path

    from pulpo.api.service_states import World

_UP: Final = ("starting", "running", "unready", "restarting")
#: The services that have commands of their own, which look whether they can start before they stop them.
_GROUPS: Final = ("api", "db", "prefect", "ui")


@dataclass(slots=True)
class _Restart:
    asked: dt.datetime
    goes_on: bool = True
    #: Why it did not work.
    problem: str | None = None

    def watch(self, process: subprocess.Popen[bytes], said: IO[bytes]) -> None:
        """Wait for the end of the command, which says into a file what was wrong."""
        with said:
            code = process.wait()
            said.seek(0)
            text = said.read().decode("utf-8", "replace").strip().removeprefix("error: ")
        if code != 0:
            self.problem = without_credentials(text) or f"it ended with exit code: {code}"
        self.goes_on = False


class Restarts:
    """The restarts that were asked for here, by service."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """With the environment variables that the commands are given."""
        self._environ = environ
        self._last: dict[str, _Restart] = {}

    def begin(self, world: World, name: str) -> None:
        """Have a service restarted by a process of its own; it does not end with this one.

        Raises:
            Problem: 409, something else is being done to it.
        """
        self._refuse_busy(world, name)
        # It is no process of the API's service, which ends all of them when it is itself restarted, but for those of others.
        environment = {**self._environ, MARK: f"restart-{secrets.token_hex(8)}"}
        arguments = (name, "restart") if name in _GROUPS else ("restart", name)
        # A file without a name: the command goes on to write into it when nobody reads any more.
        said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `watch`
        process = subprocess.Popen(  # noqa: S603 - our own
            command(world.project, world.mode, *arguments), cwd=world.project.root, env=environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
        )  # fmt: skip
        restart = self._last[name] = _Restart(dt.datetime.now(dt.UTC))
        threading.Thread(target=restart.watch, args=(process, said), daemon=True).start()

    def state(self, status: Mapping[str, Any]) -> str:
        """The state of a service: `stopping` from the moment when its restart was asked for."""
        restart = self._last.get(status["name"])
        begun = restart is not None and restart.goes_on and status["since"] is not None and status["since"] < restart.asked
        return "stopping" if begun and status["state"] in _UP else str(status["state"])

    def problem(self, name: str) -> str | None:
        """Why the last restart of a service did not work; None while it goes on, and where it did."""
        restart = self._last.get(name)
        return None if restart is None else restart.problem

    def _refuse_busy(self, world: World, name: str) -> None:
        before = self._last.get(name)
        if (before is not None and before.goes_on) or _is_turned(world, name):
            raise Problem(409, f"{name} is being started or stopped already", hint="wait until it is done")
        try:
            with only_one(world.project.cache, "a restart"):
                pass
        except UsageError as error:
            raise Problem(409, error.message, hint=error.hint) from error


def _is_turned(world: World, name: str) -> bool:
    """Whether somebody starts or stops the service."""
    if world.mode == "docker":
        return is_held(world.project.cache / "services" / "docker.turn")
    services = LocalServices(world.project.cache)
    return any(is_held(_files(world.project.cache, n).turn) for n in {*services.names(), name} if service_of(n) == name)


def _files(cache: Path, name: str) -> ServiceFiles:
    return ServiceFiles(cache / "services", cache / "logs", name)
