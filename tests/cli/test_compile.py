"""`pulpo compile`."""

from __future__ import annotations

import os
import re

import pytest

from tests.cli.conftest import Shell

FLOWS = ["graph.mmd", "parsing_flow.py", "pipeline_flow.py", "prefect.yaml", "scraping_flow.py", "standalones.py"]
CONTAINERS = ["Dockerfile", "Dockerfile.dockerignore", "docker-compose.yml", "docker-stack.yml"]
#: In `run_cache`.
FILES = [*CONTAINERS, *(f"orchestration/{name}" for name in FLOWS)]


def made(shell: Shell):
    return shell.directory / "run_cache" / "orchestration"


def names(shell: Shell) -> list[str]:
    return sorted(path.name for path in made(shell).iterdir())


def edit(shell: Shell, old: str, new: str) -> None:
    path = shell.directory / "pulpo.lock.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_it_says_what_it_wrote_and_the_second_time_that_nothing_changed(jobs):
    first = jobs("compile")
    assert first.out == ""
    assert first.err == "".join(f"  {name}\n" for name in FILES) + "run_cache: 10 files written\n"
    cache = jobs.directory / "run_cache"
    before = {name: (cache / name).stat().st_mtime_ns for name in FILES}
    assert jobs("compile").err == "run_cache: nothing changed\n"
    assert {name: (cache / name).stat().st_mtime_ns for name in FILES} == before
    assert (cache / ".gitignore").read_text() == "*\n"


def test_only_what_differs_is_written(jobs):
    jobs("compile")
    edit(jobs, "retries: 3", "retries: 4")
    assert jobs("compile").err == "  orchestration/scraping_flow.py\nrun_cache: 1 file written\n"
    assert "retries=4," in (made(jobs) / "scraping_flow.py").read_text()


def test_check_writes_nothing(jobs):
    stale = jobs("compile", "--check", code=1).err
    assert stale.endswith("run_cache is stale: run `pulpo compile`\n")
    assert not (jobs.directory / "run_cache").exists()
    jobs("compile")
    assert jobs("compile", "--check").err == "run_cache: nothing changed\n"


def test_what_is_made_no_more_is_removed_and_what_a_person_made_stays(jobs):
    jobs("compile")
    (made(jobs) / "old_flow.py").write_text((made(jobs) / "scraping_flow.py").read_text())
    (made(jobs) / "mine.py").write_text("print('mine')\n")
    assert "old_flow.py no longer wanted" in jobs("compile", "--check", code=1).err
    assert jobs("compile").err == "  orchestration/old_flow.py removed\nrun_cache: 1 file removed\n"
    assert names(jobs) == sorted(["__init__.py", *FLOWS, "mine.py"])


def test_a_persons_file_in_the_way_is_an_error_and_nothing_is_written(jobs):
    made(jobs).mkdir(parents=True)
    (made(jobs) / "scraping_flow.py").write_text("print('mine')\n")
    done = jobs("compile", code=2)
    assert "a file that `pulpo compile` did not make is in the way: " in done.err
    assert "hint: nothing was written; move it elsewhere" in done.err
    assert names(jobs) == ["scraping_flow.py"]
    assert (made(jobs) / "scraping_flow.py").read_text() == "print('mine')\n"


@pytest.mark.parametrize("kind", ["directory", "link"])
def test_what_is_no_file_is_in_the_way_too(jobs, kind):
    made(jobs).mkdir(parents=True)
    (made(jobs) / "graph.mmd").mkdir() if kind == "directory" else (made(jobs) / "graph.mmd").symlink_to("nowhere")
    assert "is in the way" in jobs("compile", code=2).err
    assert names(jobs) == ["graph.mmd"]


def test_run_cache_that_is_a_file_is_told(jobs):
    (jobs.directory / "run_cache").touch()
    assert re.search(r"error: can't be written: (Not a directory|File exists): ", jobs("compile", code=2).err)


def test_a_gitignore_that_is_there_stays(jobs):
    (jobs.directory / "run_cache").mkdir()
    (jobs.directory / "run_cache" / ".gitignore").write_text("store.db\n")
    jobs("compile")
    assert (jobs.directory / "run_cache" / ".gitignore").read_text() == "store.db\n"


def test_problems_of_the_lock_are_told_with_their_places(jobs):
    edit(jobs, "model: RawJobs", "model: RawJob")
    done = jobs("compile", code=1)
    assert re.search(r"^pulpo\.lock\.yaml:\d+:\d+: error PLP\d+: ", done.err)
    assert not (jobs.directory / "run_cache").exists()


def test_without_a_lock_it_says_so(jobs):
    (jobs.directory / "pulpo.lock.yaml").unlink()
    assert "error PLP001: there is no lock: pulpo.lock.yaml" in jobs("compile", code=1).err


def test_an_environment_says_otherwise(jobs):
    with (jobs.directory / "pulpo.lock.yaml").open("a") as lock:
        lock.write("environments:\n  staging:\n    operations:\n      scraping.merge:\n        retries: 7\n")
    jobs("compile")
    assert "retries=7" not in (made(jobs) / "scraping_flow.py").read_text()
    assert jobs("--env", "staging", "compile").err.startswith(
        "".join(
            f"  {name}\n"
            for name in [
                "Dockerfile",
                "docker-compose.yml",
                "docker-stack.yml",
                "orchestration/prefect.yaml",
                "orchestration/scraping_flow.py",
            ]
        )
    )
    assert "retries=7" in (made(jobs) / "scraping_flow.py").read_text()


def test_it_imports_neither_prefect_nor_the_projects_code(jobs):
    (jobs.directory / "jobs" / "operations.py").write_text("raise SystemExit('imported')\n")
    (jobs.directory / "prefect.py").write_text("raise SystemExit('imported')\n")
    jobs("compile", env={"PYTHONPATH": f"{jobs.directory}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"})


def test_the_method_gives_the_names_of_files(jobs):
    from pulpo import CLI

    cli = CLI(jobs.directory)
    assert cli.compile(check=True).written == tuple(FILES)
    assert cli.compile().removed == ()
    assert not cli.compile()
