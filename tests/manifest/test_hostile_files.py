"""Files that are no lock, by accident or malice: each is refused in words, in bounded time and memory, by the real command."""

from __future__ import annotations

import gzip
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pulpo.errors import DiagnosticsError
from pulpo.manifest.load import read_file

if TYPE_CHECKING:
    from collections.abc import Callable

PULPO = Path(sys.executable).parent / "pulpo"
MEMORY = 4 * 2**30
#: Of CPU; ordinary refusals take 0.3.
SECONDS = 60
VALID = "version: 1\nproject: {name: p}\n"


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    megabytes: int
    seconds: float


def check(project: Path, *arguments: str) -> Ended:
    """Run `pulpo check --no-code` with limits; what it took is its own, not that of other processes."""
    (project / "pyproject.toml").write_text('[tool.pulpo]\nmodules = ["m"]\n', encoding="utf-8")

    limits = ("prlimit", f"--as={MEMORY}", f"--cpu={SECONDS}")
    command = [*limits, os.fspath(PULPO), "--project", os.fspath(project), "check", "--no-code", *arguments]
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=project)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode(errors="replace")
    return Ended(child.returncode, text, usage.ru_maxrss // 1024, usage.ru_utime + usage.ru_stime)


def refused(project: Path) -> str:
    """The message of the one problem of a project's lock: its first line."""
    ended = check(project, "--format", "concise")
    assert ended.code == 1, ended.out
    assert "Traceback" not in ended.out
    assert "a bug" not in ended.out
    return ended.out.splitlines()[0]


def lock(project: Path) -> Path:
    return project / "pulpo.lock.yaml"


def _levels(first: str, line: Callable[[int], str], count: int) -> str:
    return "\n".join([first, *(line(i) for i in range(1, count))])


LAUGHS = _levels("a0: &a0 [x, x, x, x, x]", lambda i: f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]", 20)
QUADRATIC = f"a: &a [{', '.join('x' * 3000)}]\nb: [{', '.join(['*a'] * 3000)}]\n"
MERGES = _levels("a0: &a0 {k: 1}", lambda i: f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}", 40)
WIDE_MERGES = f"a: &a {{{', '.join(f'k{i}: 1' for i in range(1000))}}}\nb: [{', '.join(['{<<: *a}'] * 20_000)}]\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(lambda: LAUGHS, "the aliases make the document too large", id="billion laughs"),
        pytest.param(lambda: QUADRATIC, "the aliases make the document too large", id="quadratic aliases"),
        pytest.param(lambda: MERGES, "the aliases make the document too large", id="merge keys that double"),
        pytest.param(lambda: WIDE_MERGES, "the aliases make the document too large", id="merge keys of many"),
        pytest.param(lambda: "a: &a [*a]", "a[0]: an alias of something that it is itself in", id="recursive alias"),
        pytest.param(lambda: "[" * 100_000, "nested deeper than 60 levels", id="deep brackets"),
        pytest.param(lambda: "- " * 5_000_000, "nested deeper than 60 levels", id="deep dashes"),
        pytest.param(lambda: "- \n" * 5_000_000, "the lock holds more than 2,000,000 keys and values", id="5 million items"),
        pytest.param(
            lambda: "a: [" + "b: c, " * 1_000_000 + "]", "the lock holds more than 2,000,000 keys and values", id="pairs"
        ),
        pytest.param(lambda: "x" * 30_000_000, f"a manifest is a mapping: {'x' * 59}…", id="30 MB in a line"),
        pytest.param(lambda: "a: '" + "x\n" * 5_000_000, "quotes that are not closed", id="an unclosed quote of 10 MB"),
        pytest.param(lambda: "version: " + "9" * 1_000_000, "version: the number is too large", id="a million digits"),
        pytest.param(
            lambda: "? " + "k" * 1_000_000 + "\n: 1", f"a key is longer than 2,000 characters: {'k' * 59}…", id="a key of 1 MB"
        ),
        pytest.param(
            lambda: "k" * 1_000_000 + ": 1", f"a key is longer than 1024 characters: {'k' * 59}…", id="a plain key of 1 MB"
        ),
        pytest.param(lambda: "a: !" + "x" * 1_000_000 + " 1", "tags are not read", id="a tag of 1 MB"),
        pytest.param(lambda: "".join(f"%TAG !{i}! x\n" for i in range(200_000)), "too many directives", id="200,000 directives"),
        pytest.param(lambda: "a: {" + "k, " * 500_000 + "}", "a.k: the key stands twice: k", id="half a million duplicates"),
        pytest.param(lambda: "<<<<<<< x\n>>>>>>> y\n" * 500_000, "a conflict marker of Git is left: <<<<<<< x", id="markers"),
        pytest.param(lambda: "\n" * 30_000_000, "the file is empty", id="30 MB of line ends"),
        pytest.param(lambda: "# x\n" * 5_000_000, "the file holds only comments", id="only comments"),
        pytest.param(lambda: ":" * 1_000_000, f"a key is longer than 1024 characters: {':' * 59}…", id="colons"),
        pytest.param(lambda: "a: \tb\n" + "\t" * 1_000_000 + "c: d", "a tab indents this line", id="tabs"),
        pytest.param(lambda: VALID + f"x-a: {'y' * 10_000_000}\nz: 1", "z: unknown key: z", id="a text of 10 MB"),
        pytest.param(
            lambda: "a: &" + "x" * 1_000_000 + " 1\nb: *x",
            "an alias of an anchor that is not set above it",
            id="an anchor of 1 MB",
        ),
    ],
)
def test_hostile_text_is_refused_in_bounded_time_and_memory(tmp_path: Path, text: Callable[[], str], message: str) -> None:
    lock(tmp_path).write_text(text(), encoding="utf-8")
    assert refused(tmp_path).endswith(f": {message}")


def test_a_list_of_a_million_values_is_refused_within_the_memory(tmp_path: Path) -> None:
    """What costs the most of all that was tried, half as large as may be."""
    lock(tmp_path).write_text(f'a: [{chr(34)}a" : b, ' + '"a" : b, ' * 320_000 + "]", encoding="utf-8")
    ended = check(tmp_path, "--format", "concise")
    assert (ended.code, "unknown key: a" in ended.out) == (1, True)
    assert ended.megabytes < 1_600


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (gzip.compress(b"version: 1", mtime=0), "the file is a gzip archive, not YAML"),
        (b"\x89PNG\r\n\x1a\n\0\0", "the file is a PNG image, not YAML"),
        (b"PK\x03\x04\0", "the file is a ZIP archive, not YAML"),
        (b"\x7fELF\x02\x01", "the file is a program, not YAML"),
        (VALID.encode("utf-16"), "the file is UTF-16 text, not UTF-8"),
        (VALID.encode("utf-16-le"), "the file is UTF-16 text, not UTF-8"),
        (VALID.encode("utf-16-be"), "the file is UTF-16 text, not UTF-8"),
        (VALID.encode("utf-32"), "the file is UTF-32 text, not UTF-8"),
        (VALID.encode("utf-32-be"), "the file is UTF-32 text, not UTF-8"),
        (VALID.encode("utf-8-sig"), "the file begins with a byte order mark"),
        (VALID.encode() + b"\0" * 5000, "a NUL byte: the file is damaged or not text"),
        (VALID.encode() + b"x-a: \xed\xa0\x80", "the file is not UTF-8 text: byte 0xed"),
        (VALID.encode() + "x-a: é".encode()[:-1], "the file ends within a character: byte 0xc3"),
        (VALID.encode() + "x-a: \u2028".encode(), "a character that can't stand in YAML: U+2028"),
        (b"", "the file is empty"),
    ],
)
def test_bytes_that_are_no_text_are_told_for_what_they_are(tmp_path: Path, raw: bytes, message: str) -> None:
    lock(tmp_path).write_bytes(raw)
    assert refused(tmp_path).split(": ", 2)[2] == message


def test_a_database_is_told_for_what_it_is(tmp_path: Path) -> None:
    with sqlite3.connect(lock(tmp_path)) as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    assert refused(tmp_path) == "pulpo.lock.yaml:1:1: error PLP002: the file is a SQLite database, not YAML"


def _directory(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path has to be short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _dangling(path: Path) -> None:
    path.symlink_to("gone")


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _large(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(100_000_000)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_directory, "the lock is a directory, not a file"),
        (_pipe, "the lock is a named pipe, not a file"),
        (_socket, "the lock is a socket, not a file"),
        (_device, "the lock is a device, not a file"),
        (_dangling, "the lock is a symbolic link to nothing"),
        (_loop, "the lock can't be read: Too many levels of symbolic links"),
        (_large, "the lock is larger than 32 MB"),
    ],
)
def test_what_is_no_file_is_neither_read_nor_waited_for(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    make(lock(tmp_path))
    assert refused(tmp_path) == f"error PLP001: {message}: pulpo.lock.yaml"


def test_a_file_that_grows_while_it_is_read_is_not_read_forever(tmp_path: Path) -> None:
    """Such as one of /proc, which says that it is empty and yields without end what is written at the same time."""
    program = """
        import os, pathlib, sys, threading
        from pulpo.errors import DiagnosticsError
        from pulpo.manifest import load
        path = pathlib.Path(sys.argv[1])
        real = os.fstat
        def fstat(descriptor):
            found = real(descriptor)
            with path.open("ab") as stream:
                stream.truncate(200_000_000)
            return found
        os.fstat = fstat
        try:
            load.read_file(path, "lock")
        except DiagnosticsError as error:
            print(error)
    """
    lock(tmp_path).write_text(VALID, encoding="utf-8")
    command = [sys.executable, "-c", textwrap.dedent(program), os.fspath(lock(tmp_path))]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "error PLP001: the lock is larger than 32 MB: lock\n"


def test_a_lock_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    """As another user than root, who may read everything."""
    lock(tmp_path).write_text(VALID, encoding="utf-8")
    lock(tmp_path).chmod(0)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        if os.geteuid() == 0:
            tmp_path.chmod(0o755)
            os.chdir(tmp_path)
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        try:
            read_file(Path("pulpo.lock.yaml") if os.access(".", os.X_OK) else lock(tmp_path), "lock")
        except DiagnosticsError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        assert stream.read().decode() == "error PLP001: the lock can't be read: Permission denied: lock"
    os.waitpid(child, 0)


def test_readers_do_not_wait_for_a_pipe_that_somebody_writes_to(tmp_path: Path) -> None:
    os.mkfifo(lock(tmp_path))
    end = threading.Event()

    def hold() -> None:
        descriptor = os.open(lock(tmp_path), os.O_RDWR)
        end.wait(60)
        os.close(descriptor)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert "a named pipe" in refused(tmp_path)
    finally:
        end.set()
        holder.join()
