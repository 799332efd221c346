"""Saving a lock: the old file or the new one at every moment, whoever else writes and however the writer ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pulpo.errors import UsageError
from pulpo.manifest.load import save, writing

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "pulpo.lock.yaml"
OLD, NEW = "a: 1\n", "a: 2\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / NAME
    found.write_text(OLD, encoding="utf-8")
    return found


def others(path: Path) -> list[str]:
    """What lies beside the lock."""
    return sorted(p.name for p in path.parent.iterdir() if p.name != path.name)


def python(program: str, *arguments: object, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    command = [*prefix, sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def answer(child: subprocess.Popen[str]) -> str:
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    return out


def refusal(path: Path, *, instead_of: str | None = OLD) -> str:
    with pytest.raises(UsageError) as caught:
        save(path, NEW, instead_of=instead_of)
    return str(caught.value)


APPEND = """
    import pathlib, sys
    from pulpo.manifest.load import writing
    path = pathlib.Path(sys.argv[1])
    for number in range(int(sys.argv[3])):
        with writing(path) as save:
            text = path.read_text()
            save(f"{text}{sys.argv[2]}{number}\\n", instead_of=text)
"""


def test_writers_that_read_first_lose_nothing_of_each_other(path: Path) -> None:
    writers = [python(APPEND, path, name, 20) for name in "xyz"]
    for writer in writers:
        answer(writer)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert sorted(lines) == sorted(["a: 1", *(f"{name}{number}" for name in "xyz" for number in range(20))])
    assert others(path) == ["run_cache"]


def test_who_waits_for_long_is_told_once_and_then_reads_what_was_written(path: Path) -> None:
    waited = threading.Event()
    told: list[str] = []
    read: list[str] = []

    def second() -> None:
        with writing(path, on_wait=lambda: (told.append("waiting"), waited.set())) as save_now:
            read.append(path.read_text(encoding="utf-8"))
            save_now("a: 3\n", instead_of=read[0])

    thread = threading.Thread(target=second)
    with writing(path) as save_now:
        thread.start()
        assert waited.wait(30)
        assert save_now(NEW, instead_of=OLD)
    thread.join(30)
    assert (told, read, path.read_text(encoding="utf-8")) == (["waiting"], [NEW], "a: 3\n")


def test_who_need_not_wait_is_told_nothing(path: Path) -> None:
    told: list[str] = []
    with writing(path, on_wait=lambda: told.append("waiting")):
        pass
    assert not told


def test_the_meeting_place_may_be_removed_meanwhile(path: Path) -> None:
    """Such as by `rm -rf run_cache`: who waited for the old one waits for the new one, too."""
    waits, entered = threading.Event(), threading.Event()

    def second() -> None:
        with writing(path, on_wait=waits.set) as save_now:
            entered.set()
            save_now("a: 3\n", instead_of=NEW)

    thread = threading.Thread(target=second)
    with contextlib.ExitStack() as first:
        first.enter_context(writing(path))
        thread.start()
        assert waits.wait(30)
        shutil.rmtree(path.parent / "run_cache")
        with writing(path) as save_now:
            first.close()
            assert not entered.wait(0.3)
            save_now(NEW, instead_of=OLD)
    thread.join(30)
    assert path.read_text(encoding="utf-8") == "a: 3\n"


FOREVER = """
    import itertools, pathlib, sys
    from pulpo.manifest.load import writing
    path = pathlib.Path(sys.argv[1])
    print("ready", flush=True)
    for number in itertools.count():
        with writing(path) as save:
            save(f"{number} " * 20_000)
"""


def test_a_kill_at_any_moment_leaves_the_old_file_or_the_new_one(path: Path) -> None:
    chance = random.Random(3)
    path.write_text("0 " * 20_000, encoding="utf-8")
    seen: set[str] = set()
    for _ in range(15):
        child = python(FOREVER, path)
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
        before = path.stat().st_ino
        while path.stat().st_ino == before and child.poll() is None:  # it has begun to write
            pass
        time.sleep(chance.random() * 0.01)  # chooses the moment; nothing waits for it
        child.send_signal(signal.SIGKILL)
        child.communicate()
        text = path.read_text(encoding="utf-8")
        number = text.split(" ", 1)[0]
        assert text == f"{number} " * 20_000
        seen.add(number)
    assert len(seen) > 1
    with writing(path):  # nobody holds it, and what the killed ones left is gone
        assert others(path) == ["run_cache"]


@pytest.mark.parametrize("step", ["open", "chown", "write", "fsync", "replace"])
def test_a_kill_in_each_step_leaves_the_old_file_or_the_new_one(path: Path, step: str) -> None:
    program = """
        import os, pathlib, shutil, signal, sys
        from pulpo.manifest.load import save
        path = pathlib.Path(sys.argv[1])
        seen = []
        def hook(event, arguments):
            if event == "os.kill":
                return
            if event == "open" and str(arguments[0]).endswith(".new"):
                seen.append("open")
            if event == "os.chown":
                seen.append("chown")
            if event == "os.rename":
                seen.append("replace")
            if sys.argv[2] in seen:
                os.kill(os.getpid(), signal.SIGKILL)
        real = os.fsync
        def fsync(descriptor):
            if sys.argv[2] == "write":
                os.kill(os.getpid(), signal.SIGKILL)
            real(descriptor)
            if sys.argv[2] == "fsync":
                os.kill(os.getpid(), signal.SIGKILL)
        os.fsync = fsync
        sys.addaudithook(hook)
        save(path, "b" * 100_000)
    """
    child = python(program, path, step)
    child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    assert path.read_text(encoding="utf-8") == OLD
    assert save(path, NEW)
    assert (path.read_text(encoding="utf-8"), others(path)) == (NEW, ["run_cache"])


def test_an_interrupt_leaves_nothing_behind(path: Path) -> None:
    program = """
        import os, pathlib, sys
        from pulpo.manifest import load
        def fsync(_):
            raise KeyboardInterrupt
        os.fsync = fsync
        try:
            load.save(pathlib.Path(sys.argv[1]), "b")
        except KeyboardInterrupt:
            print("interrupted")
    """
    assert answer(python(program, path)) == "interrupted\n"
    assert (path.read_text(encoding="utf-8"), others(path)) == (OLD, ["run_cache"])


SAVE = """
    import pathlib, resource, signal, sys
    from pulpo.errors import UsageError
    from pulpo.manifest.load import save
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    if sys.argv[3:]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
    try:
        save(pathlib.Path(sys.argv[1]), sys.argv[2] * 200_000)
    except UsageError as error:
        print(error, error.hint or "")
"""


@pytest.mark.parametrize("limit", [1, 4096, 199_999])
def test_a_file_that_may_not_grow_leaves_the_old_one(path: Path, limit: int) -> None:
    assert answer(python(SAVE, path, "b", limit)).strip() == f"the lock can't be written: File too large: {path}"
    assert (path.read_text(encoding="utf-8"), others(path)) == (OLD, ["run_cache"])


def _mounted(options: str, directory: Path, program: str) -> str:
    """Run Python where a small file system of its own is mounted; the test is skipped where user namespaces are not allowed."""
    script = f'mount -t tmpfs -o {options} none "$1" && shift && exec "$@"'
    prefix = ("unshare", "-Urm", "sh", "-c", script, "sh", os.fspath(directory))
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a file system can't be mounted here")
    return answer(python(program, directory / NAME, prefix=prefix))


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    program = f"""
        import pathlib, sys
        from pulpo.errors import UsageError
        from pulpo.manifest.load import save
        path = pathlib.Path(sys.argv[1])
        save(path, {OLD!r})
        try:
            save(path, "b" * 200_000)
        except UsageError as error:
            print(error)
        print(path.read_text(), sorted(p.name for p in path.parent.iterdir()))
    """
    out = _mounted("size=64k", tmp_path, program)
    assert out == f"the lock can't be written: No space left on device: {tmp_path / NAME}\n{OLD} ['{NAME}', 'run_cache']\n"


def test_a_read_only_file_system_is_told_by_the_file_that_it_refuses(tmp_path: Path) -> None:
    program = f"""
        import pathlib, subprocess, sys
        from pulpo.errors import UsageError
        from pulpo.manifest.load import save, writing
        path = pathlib.Path(sys.argv[1])
        path.write_text({OLD!r})
        subprocess.run(["mount", "-o", "remount,ro", path.parent], check=True)
        with writing(path) as save_now:
            print(save_now({OLD!r}, instead_of={OLD!r}))
        try:
            save(path, {NEW!r})
        except UsageError as error:
            print(error)
    """
    out = _mounted("size=64k", tmp_path, program)
    assert out == f"False\nthe lock can't be written: Read-only file system: {tmp_path / 'run_cache'}\n"


def test_a_read_only_lock_is_not_replaced_even_by_root(path: Path) -> None:
    path.chmod(0o444)
    assert refusal(path) == f"the lock is read-only: {path}"
    assert (path.read_text(encoding="utf-8"), others(path)) == (OLD, ["run_cache"])


def test_a_read_only_lock_that_says_it_already_is_fine(path: Path) -> None:
    path.chmod(0o444)
    assert not save(path, OLD)


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """A command that runs another as a user without rights: directories of tests are their owner's alone."""
    parents = [parent for parent in tmp_path.parents if not parent.stat().st_mode & stat.S_IXOTH]
    modes = [parent.stat().st_mode for parent in parents]
    for parent in parents:
        parent.chmod(0o711)
    yield ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups") if os.geteuid() == 0 else ()
    for parent, mode in zip(parents, modes, strict=True):
        parent.chmod(mode)


def test_a_directory_that_may_not_be_written_is_told(path: Path, nobody: tuple[str, ...]) -> None:
    path.parent.chmod(0o555)
    try:
        assert answer(python(SAVE, path, "b", prefix=nobody)).strip() == (
            f"the lock can't be written: Permission denied: {path.parent / 'run_cache'}"
        )
    finally:
        path.parent.chmod(0o755)
    assert (path.read_text(encoding="utf-8"), others(path)) == (OLD, [])


def test_owner_group_and_mode_stay(path: Path) -> None:
    """Only root can give files away; others at least keep what is theirs."""
    owner, group = (1234, 5678) if os.geteuid() == 0 else (os.geteuid(), os.getgroups()[-1])
    os.chown(path, owner, group)
    path.chmod(0o664)
    save(path, NEW, instead_of=OLD)
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (owner, group, 0o664)


def test_extended_attributes_stay(path: Path) -> None:
    os.setxattr(path, "user.note", b"mine")
    save(path, NEW, instead_of=OLD)
    assert os.getxattr(path, "user.note") == b"mine"


def test_the_time_of_change_is_that_of_saving(path: Path) -> None:
    os.utime(path, (1, 1))
    save(path, NEW, instead_of=OLD)
    assert path.stat().st_mtime > 1


def test_other_hard_links_keep_the_old_text_whole(path: Path) -> None:
    link = path.parent / "link"
    link.hardlink_to(path)
    save(path, NEW, instead_of=OLD)
    assert (path.read_text(encoding="utf-8"), link.read_text(encoding="utf-8")) == (NEW, OLD)


def test_a_symbolic_link_stays_one_and_a_dangling_one_gets_its_target(tmp_path: Path) -> None:
    link = tmp_path / NAME
    link.symlink_to("target.yaml")
    assert save(link, OLD)
    assert save(link, NEW, instead_of=OLD)
    assert link.is_symlink()
    assert (tmp_path / "target.yaml").read_text(encoding="utf-8") == NEW
    assert others(link) == ["run_cache", "target.yaml"]


def test_a_loop_of_links_is_told(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.symlink_to(path)
    assert refusal(path) == f"the lock can't be written: Too many levels of symbolic links: {path}"


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / NAME
    os.mkfifo(path)
    assert refusal(path) == f"the lock is not a file: {path}"
    assert stat.S_ISFIFO(path.stat().st_mode)
    path.unlink()
    path.mkdir()
    assert refusal(path) == f"the lock is not a file: {path}"


@pytest.mark.parametrize("text", ["a: 9\n", "a: 1\r\n", "a: 1", ""])
def test_what_an_editor_saved_meanwhile_is_not_written_over(path: Path, text: str) -> None:
    with writing(path) as save_now:
        other = path.parent / "saved-by-an-editor"
        other.write_bytes(text.encode())
        other.replace(path)
        with pytest.raises(UsageError, match="somebody changed the lock meanwhile"):
            save_now(NEW, instead_of=OLD)
    assert (path.read_bytes(), others(path)) == (text.encode(), ["run_cache"])


def test_what_somebody_made_or_removed_meanwhile_is_told(tmp_path: Path) -> None:
    path = tmp_path / NAME
    with writing(path) as save_now:
        path.write_text("a: 9\n", encoding="utf-8")
        with pytest.raises(UsageError, match="somebody changed the lock meanwhile"):
            save_now(NEW)
    with writing(path) as save_now:
        path.unlink()
        with pytest.raises(UsageError, match="somebody changed the lock meanwhile"):
            save_now(NEW, instead_of="a: 9\n")
    assert others(path) == ["run_cache"]


def test_windows_line_ends_are_compared_and_written_as_they_are(path: Path) -> None:
    path.write_bytes(b"a: 1\r\nb: 2\r\n")
    assert save(path, "a: 2\r\nb: 2\r\n", instead_of="a: 1\r\nb: 2\r\n")
    assert path.read_bytes() == b"a: 2\r\nb: 2\r\n"


def test_run_cache_that_is_a_file_is_told(path: Path) -> None:
    (path.parent / "run_cache").touch()
    assert refusal(path).startswith("the lock can't be written: ")
    assert refusal(path).endswith("run_cache")


def test_the_meeting_place_is_free_after_an_error(path: Path) -> None:
    refusal(path, instead_of="something else")
    with (path.parent / "run_cache" / "lock.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
