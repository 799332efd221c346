"""The one gateway to Docker: its command, what that command says when it can't, and python-on-whales where that does the work."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pulpo.errors import ApplyError, UsageError
from pulpo.names import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from python_on_whales import DockerClient

#: The oldest Compose whose answers are understood.
MINIMUM: Final = (2, 24)
_WHY: Final = "which services changed is asked with `docker compose config --hash`, and 2.23 and older don't answer that reliably"
_ELSE: Final = "or run without containers: --mode local"
#: Seconds that an engine has to answer in; one behind ssh takes its time.
_PATIENCE: Final = 30.0
_ENDING: Final = 5.0
_KEPT: Final = 200
_LOCAL: Final = ("unix:", "npipe:", "fd:")
#: What a terminal is told, which Compose does even where there is none.
_CONTROL: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_PREFIX: Final = re.compile(r"^(error during connect: |error: |docker: )?(error response from daemon: )?", re.IGNORECASE)


class NoEngineError(UsageError):
    """There is no Docker to work with: nothing was changed."""


class DockerError(ApplyError):
    """Docker refused; `lines` are the last ones of what it said."""

    def __init__(self, command: Sequence[str], code: int, lines: Sequence[str]) -> None:
        self.lines = tuple(line for line in lines if line.strip())
        self.code = code
        said = _PREFIX.sub("", self.lines[-1].strip()) if self.lines else f"exit code {code}"
        super().__init__(f"`{_shown(command)}` failed: {said}")
        #: The last line, which says it.
        self.reason = said


@dataclass(frozen=True, slots=True)
class Engine:
    """A Docker engine: the one that `docker` speaks to by itself, that of a host, or that of a context."""

    host: str | None = None
    context: str | None = None

    @property
    def command(self) -> tuple[str, ...]:
        """How the command begins that speaks to it."""
        if self.host:
            return ("docker", "--host", self.host)
        return ("docker", "--context", self.context) if self.context else ("docker",)

    @property
    def endpoint(self) -> str:
        """Where it is, such as `unix:///var/run/docker.sock` or `ssh://me@example.org`.

        Raises:
            NoEngineError: `docker` is not there, or knows no such context.
        """
        if self.host:
            return self.host
        asked = [self.context] if self.context else []
        try:
            found = self.run("context", "inspect", "--format", "{{.Endpoints.docker.Host}}", *asked).strip()
        except DockerError as error:
            raise self._no_context(error) from None
        return found or os.environ.get("DOCKER_HOST", "")

    @property
    def is_remote(self) -> bool:
        """Whether it is another machine's, as far as can be told: not behind a socket of this one."""
        return not self.endpoint.startswith(_LOCAL)

    def check(self) -> None:
        """Raise unless there is an engine that answers, and a Compose that is not too old.

        Raises:
            NoEngineError: The one thing that is missing, and what to do about it.
        """
        if importlib.util.find_spec("python_on_whales") is None:
            raise NoEngineError(
                "containers need a package that is not installed: python_on_whales", hint="pip install 'pulpocore[docker]'"
            )
        try:
            self.run("version", "--format", "{{.Server.Version}}", seconds=_PATIENCE)
        except DockerError as error:
            raise self._no_engine(error) from None
        try:
            version = self.run("compose", "version", "--short").strip()
        except DockerError:
            raise NoEngineError(
                "Docker has no Compose plugin",
                hint=f"install it (https://docs.docker.com/compose/install; Debian's docker-compose is too old), {_ELSE}",
            ) from None
        _check_version(version)

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Look for what is missing only after something failed: each look takes as long as what an `up` asks anyway."""
        try:
            yield
        except DockerError:
            self.check()
            raise

    def run(
        self,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        seconds: float | None = None,
    ) -> str:
        """What `docker` prints.

        Raises:
            NoEngineError: There is no `docker`.
            DockerError: It failed, or took more seconds than it has.
        """
        command = [*self.command, *arguments]
        try:
            done = subprocess.run(  # noqa: S603 - `docker`, without a shell
                command, cwd=directory, env=_environ(environment), timeout=seconds, check=False, capture_output=True,
                stdin=subprocess.DEVNULL, encoding="utf-8", errors="replace",
            )  # fmt: skip
        except FileNotFoundError:
            raise _no_docker() from None
        except subprocess.TimeoutExpired:
            raise DockerError(command, -1, [f"no answer in {seconds:g} s"]) from None
        if done.returncode:
            raise DockerError(command, done.returncode, done.stderr.splitlines())
        return done.stdout

    def inspect(self, kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
        """What the engine knows of things by name or id; without those that are not there.

        Raises:
            NoEngineError: There is no `docker`.
        """
        if not names:
            return []
        try:
            done = subprocess.run(  # noqa: S603 - `docker`, without a shell
                [*self.command, kind, "inspect", *names], check=False, capture_output=True, stdin=subprocess.DEVNULL
            )
        except FileNotFoundError:
            raise _no_docker() from None
        found = json.loads(done.stdout or b"[]")
        return found if isinstance(found, list) else []

    @contextlib.contextmanager
    def lines(
        self, *arguments: str, environment: Mapping[str, str] | None = None, directory: Path | None = None
    ) -> Iterator[Iterator[str]]:
        """The lines that `docker` prints, as they come, both its streams as one. It ends with this block, or with this process.

        Raises:
            NoEngineError: There is no `docker`.
            DockerError: It failed; raised where the lines end.
        """
        from pulpo.services.processes import dying_with_parent

        command = [*self.command, *arguments]
        try:
            child = subprocess.Popen(  # noqa: S603 - `docker`, without a shell
                command, cwd=directory, env=_environ(environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, encoding="utf-8", errors="replace",
                start_new_session=True, preexec_fn=dying_with_parent(),  # noqa: PLW1509 - it only makes a system call
            )  # fmt: skip
        except FileNotFoundError:
            raise _no_docker() from None
        try:
            yield _lines(child, command)
        finally:
            _end(child)

    @contextlib.contextmanager
    def client(self) -> Iterator[DockerClient]:
        """The engine for python-on-whales, whose import takes a third of a second.

        Raises:
            DockerError: What it was asked for failed.
        """
        from python_on_whales import DockerClient, DockerException

        try:
            yield DockerClient(host=self.host, context=self.context)
        except DockerException as error:
            said = error.stderr or ""
            raise DockerError(error.docker_command, error.return_code, said.splitlines()) from None

    def _no_engine(self, error: DockerError) -> NoEngineError:
        said = " ".join(error.lines)
        where = self.host or ("" if self.context else os.environ.get("DOCKER_HOST")) or self.endpoint
        if "permission denied" in said.lower() and where.startswith(_LOCAL):
            return NoEngineError(
                f"you have no permission to talk to the Docker daemon at: {where}",
                hint=f"sudo usermod -aG docker $USER, and log in again (the group `docker` is as good as root); {_ELSE}",
            )
        start = "start it (`sudo systemctl start docker`, or Docker Desktop)" if where.startswith(_LOCAL) else "is it reached?"
        return NoEngineError(f"the Docker daemon does not answer at {where}: {error.reason}", hint=f"{start}, {_ELSE}")

    def _no_context(self, error: DockerError) -> NoEngineError:
        name = self.context or os.environ.get("DOCKER_CONTEXT") or ""
        with contextlib.suppress(DockerError):
            known = Engine(host="unix:///").run("context", "ls", "--format", "{{.Name}}").split()
            near = did_you_mean(name, known)
            hint = near or f"the contexts are {', '.join(known)}; `docker context create` makes one"
            return NoEngineError(f"there is no Docker context: {name}", hint=hint)
        return NoEngineError(f"there is no Docker context: {error.reason}", hint="docker context ls")


def _check_version(text: str) -> None:
    found = re.match(r"v?(\d+)\.(\d+)", text)
    if found and (int(found[1]), int(found[2])) < MINIMUM:
        oldest = ".".join(map(str, MINIMUM))
        raise NoEngineError(f"Docker Compose {text} is too old; the oldest that works is: {oldest}", hint=f"update it: {_WHY}")


def _no_docker() -> NoEngineError:
    if shutil.which("docker") is None:
        return NoEngineError("there is no `docker` on PATH", hint=f"install Docker (https://docs.docker.com/get-docker), {_ELSE}")
    return NoEngineError(f"`docker` can't be run: {shutil.which('docker')}", hint="is it made for this machine?")


def _environ(more: Mapping[str, str] | None) -> dict[str, str] | None:
    return None if more is None else {**os.environ, **more}


def _lines(child: subprocess.Popen[str], command: Sequence[str]) -> Iterator[str]:
    last: deque[str] = deque(maxlen=_KEPT)
    for raw in child.stdout or ():
        line = _CONTROL.sub("", raw).rstrip("\r\n")
        last.append(line)
        yield line
    if code := child.wait():
        raise DockerError(command, code, list(last))


def _end(child: subprocess.Popen[str]) -> None:
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(_ENDING)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    if child.stdout:
        child.stdout.close()


def _shown(command: Sequence[str]) -> str:
    """The command without the options that say which stack it is for."""
    words = list(command)
    for option in ("--host", "--context", "--project-name", "--file", "--ansi", "--progress"):
        while option in words:
            at = words.index(option)
            del words[at : at + 2]
    return " ".join(words)
