"""The project's image: made from the Dockerfile that `pulpo compile` writes, with this Pulpo in it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
import time
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pulpo.apply.services.engine import DockerError
from pulpo.apply.services.status import ServiceError, ServiceEvent
from pulpo.errors import UsageError

if TYPE_CHECKING:
    from pulpo.apply.services.driver import OnEvent
    from pulpo.apply.services.stack import Stack

PACKAGE: Final = "pulpocore"
_WHEELS: Final = "wheels"
_LINES: Final = 20
_WIDTH: Final = 80
#: What events about the image are told of.
IMAGE: Final = "image"


def build_image(stack: Stack, on_event: OnEvent, *, push: bool = False) -> str | None:
    """Make the image that the project's services run from, and with `push` send it to its registry.

    Returns:
        Its name; None where no service runs from it.

    Raises:
        ServiceError: It could not be made; the message has the last lines of what was said.
        UsageError: This Pulpo can't be put into it.
    """
    own = [name for name, definition in stack.definitions.items() if definition.image is None]
    if not own:
        return None
    began = time.monotonic()
    on_event(ServiceEvent(IMAGE, "building", detail=stack.image))
    place_wheel(stack.cache / _WHEELS)
    last = ""
    try:
        with stack.lines("--progress", "plain", "build", *(["--push"] if push else []), own[0]) as lines:
            for line in lines:
                if (step := _step(line)) and step != last:
                    last = step
                    on_event(ServiceEvent(IMAGE, "building", time.monotonic() - began, step))
    except DockerError as error:
        said = "\n".join(f"  {line}" for line in error.lines[-_LINES:])
        raise ServiceError(f"the image {stack.image} could not be made: {error.reason}\n{said}", own) from None
    on_event(ServiceEvent(IMAGE, "built", time.monotonic() - began, stack.image))
    return stack.image


def place_wheel(directory: Path) -> Path | None:
    """Put a wheel of this Pulpo into a directory, for the image, unless it came from the package index, which then has it.

    Of a directory it is made again, since its files may have changed. What is there for another version goes.

    Returns:
        The wheel; None where it came from the index.

    Raises:
        UsageError: What it was installed from is not there any more, or no wheel can be made of it.
    """
    source = _installed_from()
    if source is None:
        shutil.rmtree(directory, ignore_errors=True)
        return None
    if not source.exists():
        raise UsageError(
            f"Pulpo was installed from what is not there any more, so it can't be put into the image: {source}",
            hint=f"install it again, from there or from the index: pip install {PACKAGE}",
        )
    fresh = directory.with_name(f".{_WHEELS}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    wheel = Path(shutil.copy(source, fresh)) if source.is_file() else _made(source, fresh)
    if (directory / wheel.name).exists() and (directory / wheel.name).read_bytes() == wheel.read_bytes():
        shutil.rmtree(fresh)  # the engine has that layer
    else:
        shutil.rmtree(directory, ignore_errors=True)
        fresh.replace(directory)
    return directory / wheel.name


def _installed_from() -> Path | None:
    """The directory or wheel that this Pulpo was installed from, as pip noted it (PEP 610)."""
    text = distribution(PACKAGE).read_text("direct_url.json")
    url = urlsplit(json.loads(text)["url"]) if text else None
    return Path(url2pathname(url.path)) if url and url.scheme == "file" else None


def _made(source: Path, directory: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--disable-pip-version-check", "--wheel-dir"]
    done = subprocess.run(  # noqa: S603 - our own interpreter's pip
        [*command, str(directory), str(source)], check=False, capture_output=True, encoding="utf-8", errors="replace"
    )
    wheels = list(directory.glob("*.whl"))
    if done.returncode or not wheels:
        last = "\n".join(done.stderr.strip().splitlines()[-_LINES:])
        raise UsageError(
            f"no wheel of Pulpo can be made from {source}:\n{last}", hint=f"or install it from the index: pip install {PACKAGE}"
        )
    return wheels[0]


def _step(line: str) -> str | None:
    """The step that a line of the build begins, as in `RUN pip install`; None for all others."""
    number, _, rest = line.partition(" [")
    where, _, step = rest.partition("] ")
    if not number.startswith("#") or not step or where.endswith("internal"):
        return None
    return textwrap.shorten(step, _WIDTH, placeholder=" …")
