"""Shell completion: names of the lock and runs, fast, without the project's code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from pulpo.cli import completion
from pulpo.cli.typer_app import build


def complete(shell, line: str, env: dict[str, str] | None = None) -> list[str]:
    """What a shell would offer where the line ends."""
    words = {"_PULPO_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    return shell(env={**words, **(env or {})}).out.split()


def test_flows_and_operations_to_run(jobs):
    assert complete(jobs, "pulpo run pa") == ["parsing", "parsing.clean"]
    assert complete(jobs, "pulpo run scraping.l") == ["scraping.linkedin", "scraping.linkedin.fetch"]
    assert complete(jobs, "pulpo run pipeline --only val") == ["validate"]
    assert "pipeline" in complete(jobs, "pulpo run ")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("pulpo operations parsing", ["parsing.clean"]),
        ("pulpo models R", ["RawJobs"]),
        ("pulpo flows sc", ["scraping", "scraping.linkedin", "scraping.stepstone"]),
        ("pulpo services a", ["api"]),
        ("pulpo up d", ["db"]),
        ("pulpo logs w", ["worker"]),
        ("pulpo prefect deploy par", ["parsing"]),
        ("pulpo explain Cl", ["CleanedJobs"]),
        ("pulpo explain PLP206", ["PLP206"]),
        ("pulpo --env st", ["staging"]),
        ("pulpo init --template f", ["flights"]),
        ("pulpo doc", ["doctor"]),
    ],
)
def test_each_kind_of_name(jobs, line, found):
    lock = jobs.directory / "pulpo.lock.yaml"
    lock.write_text(lock.read_text() + "environments:\n  staging: {project: {mode: docker}}\n")
    assert complete(jobs, line) == found


def test_runs_of_the_embedded_store_newest_first(jobs):
    assert complete(jobs, "pulpo runs show ") == ["latest"]
    assert not (jobs.directory / "run_cache").exists()
    for _ in range(2):
        jobs("run", "parsing", "--input", f"RawJobs=@{os.devnull}", code=None)
        jobs("run", "scraping.merge", "--with-upstream")
    ids = [line.split()[0] for line in jobs("runs", "list").out.splitlines()[1:]]
    assert complete(jobs, "pulpo runs show ") == ["latest", *ids]
    assert complete(jobs, f"pulpo run --resume {ids[0][:-1]}") == [i for i in ids if i.startswith(ids[0][:-1])]


def test_the_project_that_the_line_names_is_asked(jobs, tmp_path):
    shutil.copytree(jobs.directory, tmp_path / "elsewhere")
    jobs.directory = tmp_path
    assert complete(jobs, "pulpo --project elsewhere models R") == ["RawJobs"]
    assert complete(jobs, "pulpo models R") == []


def test_what_is_wrong_completes_nothing_and_says_nothing(shell):
    assert complete(shell, "pulpo run x") == []
    (shell.directory / "pulpo.lock.yaml").write_bytes(b"operations:\n  \xff: [\n  fine.one:\n    x: 1\nmodels: {A: {}}\n")
    assert complete(shell, "pulpo operations ") == ["fine.one"]
    (shell.directory / "pyproject.toml").write_text("[tool")
    assert complete(shell, "pulpo operations ") == []
    (shell.directory / "pyproject.toml").unlink()
    (shell.directory / "run_cache").mkdir()
    (shell.directory / "run_cache" / "store.db").write_text("no database at all, and long enough to look like one")
    assert complete(shell, "pulpo runs show ") == ["latest"]


def test_nothing_heavy_and_no_user_code_is_imported(jobs):
    script = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(sorted({m.split('.')[0] for m in sys.modules} & set(sys.argv[1:]), ), file=sys.stderr))\n"
        "from pulpo.cli.app import CLI\nCLI.main([])"
    )
    heavy = ("pydantic", "ruamel", "networkx", "rich", "jsonschema_rs", "asyncio", "prefect", "jobs", "psutil")
    env = {**os.environ, "_PULPO_COMPLETE": "complete_bash", "COMP_WORDS": "pulpo run s", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-c", script, *heavy], cwd=jobs.directory, capture_output=True, text=True, check=False, env=env
    )
    assert done.stdout.split()[0] == "scraping"
    assert done.stderr == "[]\n"


def test_a_lock_of_ten_thousand_operations_is_no_wait(tmp_path):
    entries = "".join(f"  flow{n % 100}.op{n}:\n    entrypoint: m:f\n    outputs: [{{model: M}}]\n" * 1 for n in range(10_000))
    (tmp_path / "pulpo.lock.yaml").write_text(f"version: 1\nproject: {{name: x}}\noperations:\n{entries}services: {{}}\n")
    context = typer.Context(build())
    context.params["project"] = str(tmp_path)
    times = []
    for _ in range(5):
        started = time.perf_counter()
        assert len(completion.operations(context, "flow1")) == 1_100
        times.append(time.perf_counter() - started)
    assert min(times) < 0.1


@pytest.mark.parametrize("kind", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_is_shown(shell, kind):
    done = shell("--show-completion", kind, env={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"})
    assert f"_PULPO_COMPLETE=complete_{kind}" in done.out


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_a_real_bash_completes(jobs, tmp_path):
    done = jobs("--show-completion", "bash", env={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"})
    (tmp_path / "completion.sh").write_text(done.out)
    script = f"source {tmp_path}/completion.sh; COMP_WORDS=(pulpo run pa); COMP_CWORD=2; _pulpo_completion pulpo; echo ${{COMPREPLY[*]}}"
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    shown = subprocess.run(["bash", "-c", script], cwd=jobs.directory, capture_output=True, text=True, check=True, env=env)
    assert shown.stdout == "parsing parsing.clean\n"
