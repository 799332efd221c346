"""The project's image: made from the Dockerfile that `pulpo compile` writes, with this Pulpo in it."""

from __future__ import annotations

import json
import re
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
from pulpo.compile.compose import CONTENT_LABEL
from pulpo.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pulpo.apply.services.driver import OnEvent
    from pulpo.apply.services.stack import Stack

PACKAGE: Final = "pulpocore"
_WHEELS: Final = "wheels"
_LINES: Final = 20
_WIDTH: Final = 80
#: Where BuildKit looks for the base image, and what comes of it.
_NO_BASE: Final = re.compile(
    r"^#(\d+) [^\n]*load metadata for (?P<image>\S+)$.*?^#\1 ERROR: (?P<why>[^\n]*)$", re.MULTILINE | re.DOTALL
)
#: What events about the image are told of.
IMAGE: Final = "image"


def build_image(stack: Stack, content: str, on_event: OnEvent) -> str:
    """Make the image that the project's services run from, of which there are some; its name.

    Args:
        stack: The stack that it is for.
        content: What goes into it (`pulpo.apply.services.content.content_digest`), which it is labelled with.
        on_event: Is told of each step.

    Raises:
        ServiceError: It could not be made; the message has the last lines of what was said.
        UsageError: This Pulpo can't be put into it.
    """
    own = [name for name, definition in stack.definitions.items() if definition.image is None]
    began = time.monotonic()
    on_event(ServiceEvent(IMAGE, "building", detail=stack.image))
    place_wheel(stack.cache / _WHEELS)
    last = ""
    try:
        with stack.compose.lines("--progress", "plain", "build", own[0], content=content) as lines:
            for line in lines:
                if (step := _step(line)) and step != last:
                    last = step
                    on_event(ServiceEvent(IMAGE, "building", time.monotonic() - began, step))
    except DockerError as error:
        raise _not_made(stack.image, error, own) from None
    on_event(ServiceEvent(IMAGE, "built", time.monotonic() - began, stack.image))
    return stack.image


def ensure_image(stack: Stack, names: Sequence[str], content: str, on_event: OnEvent) -> None:
    """Make the project's image where one of these services runs from it and it is not there, or something else is in it.

    One without the label that says what is in it was made by other means, and is left as it is.
    """
    if not any(stack.definitions[name].image is None for name in names):
        return
    found = stack.engine.inspect("image", [stack.image])
    if not found or (found[0]["Config"].get("Labels") or {}).get(CONTENT_LABEL, content) != content:
        build_image(stack, content, on_event)


def _not_made(image: str, error: DockerError, services: Sequence[str]) -> ServiceError:
    """What the build ended with, and its last lines; where that is the base image, BuildKit's one line about it."""
    said = "\n".join(error.lines)
    what = f"the image {image} could not be made"
    if no_base := _NO_BASE.search(said):
        return ServiceError(
            f"{what}: its base image {no_base['image']} is not here and can't be pulled: {no_base['why']}",
            services,
            hint="is project.docker.base_image right? else pull or load it by hand",
        )
    last = "".join(f"\n  {line}" for line in error.lines[-_LINES:])
    return ServiceError(f"{what}: {error.reason}{last}", services)


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
