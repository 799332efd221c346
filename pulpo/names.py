"""Names: what operations, flows and models may be called, and what a mistyped one probably meant."""

from __future__ import annotations

import difflib
import keyword
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The project's own repository on GitHub, whose files schemas and messages point to.
REPOSITORY = "pulpo/pulpocore"
REPOSITORY_URL = f"https://github.com/{REPOSITORY}"
#: The flow of the whole project.
PIPELINE = "pipeline"
MAX_SEGMENTS = 8
SEGMENT_PATTERN = r"[a-z][a-z0-9_]*"
OPERATION_PATTERN = rf"^{SEGMENT_PATTERN}(\.{SEGMENT_PATTERN}){{0,{MAX_SEGMENTS - 1}}}$"
MODEL_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"
ENTRYPOINT_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$"

_OPERATION = re.compile(OPERATION_PATTERN)
_SEGMENT = re.compile(SEGMENT_PATTERN)
_MODEL = re.compile(MODEL_PATTERN)


def operation_name_problem(name: str) -> str | None:
    """What is wrong with an operation's name, or None: `segment(.segment)*`, at most 8 segments, no keyword."""
    segments = name.split(".")
    if len(segments) > MAX_SEGMENTS:
        return f"a name has at most {MAX_SEGMENTS} segments, this one has {len(segments)}"
    for segment in segments:
        if not _SEGMENT.fullmatch(segment):
            return f"a segment is lower case letters, digits and _, beginning with a letter, not {segment!r}"
        if keyword.iskeyword(segment):
            return f"{segment!r} is a Python keyword"
    if segments[0] == PIPELINE:
        return f"{PIPELINE!r} is the name of the flow of the whole project"
    return None


def nearest_operation_name(name: str) -> str | None:
    """A hint such as `such as scraping.fetch_all` for `scraping.Fetch-All`, or None where no valid name is near."""
    segments = [re.sub(r"[^a-z0-9]+", "_", snake_case(segment)).strip("_") for segment in name.split(".")]
    near = ".".join(f"{segment}_" if keyword.iskeyword(segment) else segment for segment in segments)
    return None if operation_name_problem(near) else f"such as {near}"


def model_name_problem(name: str) -> str | None:
    """What is wrong with a model's name, or None: a Python identifier in ASCII."""
    if not _MODEL.fullmatch(name) or keyword.iskeyword(name):
        return f"a model's name is a Python identifier in ASCII, not {name!r}"
    return None


def did_you_mean(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """A hint such as `did you mean 'fetch'?`, or None where nothing is as near as `cutoff`, up to 1, asks for."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"did you mean {close[0]!r}?" if close else None


def parents(name: str) -> tuple[str, ...]:
    """The flows that an operation or flow lies in, outermost first: `a.b.c` gives (`a`, `a.b`)."""
    segments = name.split(".")
    return tuple(".".join(segments[:i]) for i in range(1, len(segments)))


def upwards(flow: str) -> tuple[str, ...]:
    """A flow, those that it lies in, innermost first, and the pipeline: the order in which an inherited setting is looked for."""
    return (flow, *reversed(parents(flow)), *((PIPELINE,) if flow != PIPELINE else ()))


def flows_of(operations: Iterable[str]) -> set[str]:
    """The names of all flows that these operations make: each that one of them lies in, standalone ones, and the pipeline."""
    return {PIPELINE} | {flow for name in operations for flow in parents(name) or (name,)}


def lies_in(operation: str, flow: str) -> bool:
    """Whether an operation belongs to a flow: it lies below it, is it (a standalone one), or the flow is the pipeline."""
    return flow in (PIPELINE, operation) or operation.startswith(f"{flow}.")


def snake_case(name: str) -> str:
    """`RawJob` as `raw_job`, `HTTPLog` as `http_log`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
