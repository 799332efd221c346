"""Running `pulpo` on a terminal of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def on_terminal(directory: Path, *arguments: str, columns: int = 100, **environment: str) -> str:
    """What a command shows on a terminal as its stdout, escape sequences and all."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")} | {"TERM": "xterm"} | environment
    command = [sys.executable, "-m", "pulpo", *arguments]
    with subprocess.Popen(command, cwd=directory, stdout=follower, stderr=subprocess.DEVNULL, env=env) as process:
        os.close(follower)
        text = b""
        try:
            while chunk := os.read(leader, 65536):
                text += chunk
        except OSError:  # the other end is closed
            pass
        os.close(leader)
        process.wait(60)
    return text.decode().replace("\r\n", "\n")


def plain(text: str) -> str:
    """A text without its colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
