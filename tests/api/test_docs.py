"""docs/api.md shows before it tells: each curl in it is run, in order, on the project of the README, and answers what is shown."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.api.running import serving
from tests.locks import with_services
from tests.test_readme import block

DOCS = Path(__file__).parents[2] / "docs"
API = (DOCS / "api.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8000"
#: What is another thing each time, and what stands for it.
VOLATILE = (
    (r"\d{8}-\d{6}-[0-9a-f]{7}", "RUN"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"(?i)^(x-request-id|date): .*$", r"\1: ANY"),
    (r'"request_id":\s*"[^"]*"', '"request_id":"ANY"'),
    (r'"(\d+)-[0-9a-f]{8}\\?"', r'"\1-TAG"'),
    (r'"host":\s*"[^"]*"', '"host":"ANY"'),
    (r'"pid":\s*\d+', '"pid":0'),
    (r"^(id: ).*$", r"\1ANY"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:8000"),
)


def steps() -> list[tuple[str, str]]:
    """The commands of the page, each with what it prints; `…` at the end of a line stands for the rest of it."""
    blocks = re.findall(r"```console\n(.*?)```", API, re.DOTALL)
    found = [part.partition("\n") for text in blocks for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]]
    return [(command, shown) for command, _, shown in found]


def plain(text: str) -> str:
    text = text.replace("\r\n", "\n")
    for pattern, name in VOLATILE:
        text = re.sub(pattern, name, text, flags=re.MULTILINE)
    return text.strip()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    directory = tmp_path_factory.mktemp("docs")
    (directory / "jobs.py").write_text(block("python"))
    (directory / "pyproject.toml").write_text(block("toml"))
    subprocess.run([sys.executable, "-m", "pulpo", "lock"], cwd=directory, check=True, capture_output=True)
    with_services(directory / "pulpo.lock.yaml", cache='{image: "redis:8"}')
    return directory


def test_each_curl_answers_what_is_shown(project):
    assert shutil.which("curl"), "there is no curl"
    run = ""
    with serving(project) as url:
        for command, shown in steps():
            sample = re.search(VOLATILE[0][0], command)
            real = command.replace(ADDRESS, url).replace(sample[0] if sample else ADDRESS, run or url)
            done = subprocess.run(["bash", "-o", "pipefail", "-c", real], capture_output=True, text=True, timeout=60, check=False)
            run = run or next(iter(re.findall(VOLATILE[0][0], done.stdout)), "")
            expected, printed = plain(shown).splitlines(), plain(done.stdout).splitlines()
            assert len(expected) == len(printed), (command, done.stdout, done.stderr)
            for line, other in zip(expected, printed, strict=True):
                assert other.startswith(line[:-1]) if line.endswith("…") else other == line, command


def test_every_endpoint_is_on_the_page(project):
    with serving(project) as url:
        paths = httpx.get(f"{url}/openapi.json").json()["paths"]
    commands = " ".join(command for command, _ in steps())
    said = {_any(path) for path in re.findall(rf"{ADDRESS}(/[^\s'?|]*)", commands)}
    for path, methods in paths.items():
        pattern = re.sub(r"\\\{\w+\\\}", r"[^/]+", re.escape(_any(path)))
        assert any(re.fullmatch(pattern, one) for one in said), path
        for method in methods:
            assert method.upper() in ("GET", "HEAD") or f"-X {method.upper()}" in commands, (method, path)


def _any(path: str) -> str:
    """The path of one model's records, or of one operation's or flow's runs, as that of any."""
    return re.sub(r"^/(models|operations|flows)/[^/]+/", r"/\1/any/", path)
