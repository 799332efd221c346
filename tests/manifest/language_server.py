"""A client of the YAML language server that editors start: JSON-RPC over its standard streams."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

NODE = Path(__file__).parents[1] / "node"
SERVER = NODE / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
#: The server's words for the kinds of settings it asks for.
_SETTINGS = {"yaml": {"validate": True, "completion": True, "hover": True, "schemaStore": {"enable": False}}}


def node() -> str:
    """The command `node`; fails where it or the packages of tests/node are missing."""
    command = shutil.which("node")
    assert command, "these tests need Node.js (nodejs and npm): install it, then run `make test`"
    assert SERVER.exists(), "the packages in tests/node are not installed: run `make test`, or `npm ci` in tests/node"
    return command


class LanguageServer:
    """A running server that has one file open."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._ids = itertools.count(1)
        self._versions = itertools.count(1)
        self._uri = ""
        #: What the server had against the text that is open.
        self.diagnostics: list[dict[str, Any]] = []

    def start(self, root: Path) -> None:
        capabilities = {
            "textDocument": {
                "completion": {"completionItem": {"snippetSupport": True, "documentationFormat": ["markdown"]}},
                "hover": {"contentFormat": ["markdown"]},
                "publishDiagnostics": {},
            },
            "workspace": {"configuration": True},
        }
        self.ask("initialize", processId=None, rootUri=root.as_uri(), capabilities=capabilities)
        self._send(method="initialized", params={})
        self._send(method="workspace/didChangeConfiguration", params={"settings": _SETTINGS})

    def open(self, path: Path, text: str) -> None:
        """Open a text, and wait until the server has judged it."""
        self._uri = path.as_uri()
        version = next(self._versions)
        document = {"uri": self._uri, "languageId": "yaml", "version": version, "text": text}
        self._send(method="textDocument/didOpen", params={"textDocument": document})
        while (message := self._receive()).get("method") != "textDocument/publishDiagnostics":
            self._answer(message)
        self.diagnostics = message["params"]["diagnostics"]

    def ask(self, method: str, **params: Any) -> Any:
        """The answer to a request."""
        number = next(self._ids)
        self._send(id=number, method=method, params=params)
        while (message := self._receive()).get("id") != number or "method" in message:
            self._answer(message)
        assert "error" not in message, message
        return message["result"]

    def hover(self, line: int, column: int) -> str:
        """What is shown over a place, counted from 0."""
        result = self.ask("textDocument/hover", **self._at(line, column))
        return result["contents"]["value"] if result else ""

    def completions(self, line: int, column: int) -> dict[str, dict[str, Any]]:
        """What is offered at a place, counted from 0, by label."""
        result = self.ask("textDocument/completion", **self._at(line, column))
        return {item["label"]: item for item in result["items"]}

    def _at(self, line: int, column: int) -> dict[str, Any]:
        return {"textDocument": {"uri": self._uri}, "position": {"line": line, "character": column}}

    def _answer(self, message: dict[str, Any]) -> None:
        """The server asks its client, too: for its settings."""
        if "id" in message and "method" in message:
            items = message["params"].get("items", ()) if message.get("params") else ()
            self._send(id=message["id"], result=[_SETTINGS.get(item.get("section")) for item in items] or None)

    def _send(self, **message: Any) -> None:
        assert self._process.stdin
        body = json.dumps({"jsonrpc": "2.0"} | message).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout
        length = 0
        while line := self._process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert length, "the language server ended"
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        return message


@contextmanager
def language_server(root: Path) -> Iterator[LanguageServer]:
    """A server for a directory; it ends with the block."""
    command = [node(), str(SERVER), "--stdio"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root) as process:
        try:
            server = LanguageServer(process)
            server.start(root)
            yield server
        finally:
            process.kill()
