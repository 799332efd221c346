"""The whole stack of an example, as processes or as containers, driven by the real program `pulpo` from outside."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

from pulpo.manifest.addresses import is_loopback
from pulpo.services.ports import is_free
from pulpo.services.spec import Address
from tests.apply.services.local_stack import Stack
from tests.docker_engine import MONGO_IMAGE, PYTHON_IMAGE, docker
from tests.mongo_server import _binary
from tests.prefect_server import migrate

EXAMPLE = Path(__file__).parents[2] / "examples" / "jobs"
SERVICES = ("api", "db", "prefect", "ui", "worker")
#: What the image of the example is called here, that no other one is replaced.
IMAGE = "pulpo-test/jobs"


class WholeStack(ABC):
    """A copy of the example with MongoDB and ports that are free, and what is seen of it."""

    mode: ClassVar[Literal["local", "docker"]]
    #: More of the entries `project` and `services.db`, as YAML.
    project: ClassVar[str] = ""
    database: ClassVar[str] = ""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        shutil.copytree(EXAMPLE, directory, ignore=shutil.ignore_patterns("run_cache", "__pycache__"))
        lock = directory / "pulpo.lock.yaml"
        text = lock.read_text()
        for before, after in (
            ("modules: [jobs]}", f"modules: [jobs]{self.project}}}"),
            ('"8000"', "auto"),
            ('"4200"', "auto"),
            ('"3000"', "auto"),
            ("engine: embedded", f"engine: mongodb\n    ports: [auto]{self.database}"),
            ("worker: {}", 'worker:\n    environment: {PREFECT_WORKER_QUERY_SECONDS: "2"}'),
        ):
            assert text.count(before) == 1
            text = text.replace(before, after)
        lock.write_text(text)
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "PULPO_"))}

    def pulpo(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """What a command prints, and what it tells."""
        command = [sys.executable, "-m", "pulpo", "--mode", self.mode, *arguments]
        done = subprocess.run(
            command, cwd=self.directory, env=self._environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout, done.stderr

    def status(self) -> dict[str, dict[str, Any]]:
        """Each service as `status` has it."""
        return {service["name"]: service for service in json.loads(self.pulpo("status", "--format", "json")[0])["services"]}

    def states(self) -> dict[str, str]:
        """Each service's state."""
        return {name: service["state"] for name, service in self.status().items()}

    def addresses(self) -> dict[str, str]:
        """Where those are reached that listen, without what stands before the host."""
        return {name: found["addresses"][0].rpartition("/")[2] for name, found in self.status().items() if found["addresses"]}

    def records(self, model: str) -> list[dict[str, Any]]:
        """All that the API has of a model."""
        return json.loads(self.page("api", f"/models/{model}/records"))["items"]

    def page(self, service: str, path: str) -> str:
        """What a service answers to a browser."""
        with self._answer(service, path) as answer:
            return answer.read().decode()

    def beginning(self, service: str, path: str) -> str:
        """The same of what does not end: its first three lines."""
        with self._answer(service, path) as answer:
            return "".join(answer.readline().decode() for _ in range(3))

    def _answer(self, service: str, path: str) -> http.client.HTTPResponse:
        request = urllib.request.Request(f"http://{self.addresses()[service]}{path}", headers={"Accept": "*/*"})
        found: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=20)
        return found

    @abstractmethod
    def identities(self) -> dict[str, object]:
        """What is another thing as soon as a service was started anew."""

    @abstractmethod
    def kill(self, service: str) -> None:
        """As `kill -9` does."""

    @abstractmethod
    def left(self) -> list[str]:
        """What still runs of the stack, or is kept for it beside its data."""

    @abstractmethod
    def data(self) -> list[str]:
        """Where something is stored."""

    @abstractmethod
    def end(self) -> None:
        """Leave nothing behind, however the tests went."""


class Processes(WholeStack):
    """The stack as processes of this machine."""

    mode = "local"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._stack = Stack(directory)
        migrate(directory / "run_cache" / "data" / "prefect")
        self._environment["PATH"] = f"{Path(_binary()).parent}{os.pathsep}{self._environment['PATH']}"

    def identities(self) -> dict[str, object]:
        return {name: (service["pid"], service["since"]) for name, service in self.status().items()}

    def kill(self, service: str) -> None:
        os.kill(self.status()[service]["pid"], signal.SIGKILL)

    def left(self) -> list[str]:
        return [str(process) for process in self._stack.processes()]

    def data(self) -> list[str]:
        return sorted(path.name for path in (self.directory / "run_cache" / "data").glob("[!.]*"))

    def end(self) -> None:
        self._stack.end()


class Containers(WholeStack):
    """The stack as containers."""

    mode = "docker"
    project = f', docker: {{base_image: "{PYTHON_IMAGE}", image: {IMAGE}}}'
    database = f'\n    image: "{MONGO_IMAGE}"'

    def identities(self) -> dict[str, object]:
        form = "{{.Id}} {{.State.StartedAt}}"
        return {name: docker("inspect", "--format", form, found["container"]) for name, found in self.status().items()}

    def kill(self, service: str) -> None:
        pid = docker("inspect", "--format", "{{.State.Pid}}", self.status()[service]["container"])
        os.kill(int(pid), signal.SIGKILL)

    def left(self) -> list[str]:
        return [*self._listed("ps", "--all"), *self._listed("network", "ls")]

    def data(self) -> list[str]:
        return sorted(self._listed("volume", "ls"))

    def end(self) -> None:
        with contextlib.suppress(AssertionError):
            self.pulpo("down", "--volumes", "--yes")
        for kind, *words in (("container", "ps", "--all"), ("network", "network", "ls"), ("volume", "volume", "ls")):
            for found in self._listed(*words):
                docker(kind, "rm", "--force", found, check=False)
        docker("image", "rm", IMAGE, check=False)

    def _listed(self, *words: str) -> list[str]:
        """Those of this checkout: Compose names them after it."""
        form = "{{.Names}}" if words[0] == "ps" else "{{.Name}}"
        chosen = (self.directory / "run_cache" / ".env").read_text().split("COMPOSE_PROJECT_NAME=")[1].split()[0]
        return docker(*words, "--filter", f"label=com.docker.compose.project={chosen}", "--format", form).split()


def free(address: str) -> bool:
    """Whether nobody listens at `host:port`."""
    host, _, port = address.rpartition(":")
    assert is_loopback(host)
    return is_free(Address(host, int(port)))


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Until it is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.2)
