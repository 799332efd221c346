"""Hypothesis strategies for manifests as plain data, right ones and damaged ones, and for hostile text."""

from __future__ import annotations

import copy
import keyword
from typing import Any

from hypothesis import strategies as st

#: Texts that some YAML parser takes for something else, or that are hard to write.
_WORDS = """
yes No ON off y N true False null ~ NULL nan .nan .inf -.Inf 1 -1 +1 012 0o17 0x1F 0b11 1_000 1. .5 1e3 1.5e+3 22:22 190:20:30
2024-01-01 2024-01-01T10:00:00Z = << ! !x & &a * *a ? - -- --- ... | > @ ` % # #x $x ${X} a:b http://x/y a, [ ] { } [x] {x}
'x' "x" it's \\ \\n C:\\x 0 -0 -0.0 0.0 _1 1_ e3 1e 0x a# x-y é 😀 ß \u0661 y1 ok
"""
HOSTILE = [
    *_WORDS.split(),
    "",
    " ",
    " x",
    "x ",
    "a b",
    "a  b",
    "a: b",
    "a :b",
    "a #b",
    "a, b",
    "a:",
    ": a",
    "- a",
    "? a",
    "# a",
    "% a",
    "a\nb",
    "a\n",
    "\na",
    "\t",
    "a\tb",
    "a\r\nb",
    "\r",
    "\x00",
    "\x07",
    "\x7f",
    "\x85",
    "a\x85b",
    "\xa0",
    "\u2028",
    "\u2029",
    "\ufeff",
    "\ufeffa",
    "\ufffe",
    "\uffff",
    "\U0001f600",
    "\U0010ffff",
    "x" * 1500,
    "\x01" * 300,
    "<<<<<<< HEAD",
    "=======",
]

texts = st.sampled_from(HOSTILE) | st.text(max_size=12) | st.text("ab:,#-?[]{}&*!|>'\"%@` \n\t\\=~$./0_", max_size=6)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | texts
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)
json_objects = st.dictionaries(texts, json_values, max_size=4)

segments = st.from_regex(r"[a-z][a-z0-9_]{0,3}", fullmatch=True).filter(lambda s: not keyword.iskeyword(s))
operation_names = st.lists(segments, min_size=1, max_size=3).map(".".join)
identifiers = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,4}", fullmatch=True)
entrypoints = st.builds("{}.{}:{}".format, identifiers, identifiers, identifiers)
_tags = st.lists(texts, max_size=2)
_positive = st.floats(0.001, 1e6) | st.integers(1, 9)
_own_keys = {"x-note": json_values, "x-": json_values}


def _part(required: dict[str, Any], **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional | _own_keys)


def _entries(names: st.SearchStrategy[str], parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(names, parts, max_size=3)


_non_empty = st.text(min_size=1, max_size=4)
_model_settings = {
    "description": texts,
    "collection": identifiers,
    "key": st.lists(_non_empty, min_size=1, max_size=2),
    "indexes": st.lists(st.lists(_non_empty, min_size=1, max_size=2), max_size=2),
    "tags": _tags,
}
models = _part(
    {},
    entrypoint=entrypoints,
    origin=st.just("manifest"),
    **_model_settings,
    schema=st.fixed_dictionaries({}, optional={"type": st.just("object"), "properties": json_objects, "$defs": json_objects}),
)
_settings = {
    "description": texts,
    "category": texts,
    "version": texts,
    "tags": _tags,
    "retries": st.integers(0, 9),
    "retry_delay": _positive,
    "timeout": _positive,
    "concurrency": st.integers(1, 9),
    "on_error": st.sampled_from(["fail", "skip"]),
    "cache": _part({}, ttl=_positive),
    "after": st.lists(operation_names, max_size=2),
}
_inputs = _part(
    {"model": identifiers},
    mode=st.sampled_from(["one", "each", "all", "keyed", "previous"]),
    many=st.booleans(),
    optional=st.booleans(),
    select=st.lists(_non_empty, max_size=2),
    **{"from": st.lists(operation_names, max_size=2)},
)
operations = _part(
    {"entrypoint": entrypoints},
    origin=st.just("manifest"),
    orphaned=st.booleans(),
    parameters=_entries(
        identifiers, _part({}, schema=json_objects, default=json_values, description=texts, argument=identifiers)
    ),
    parameter_objects=_entries(identifiers, entrypoints),
    inputs=_entries(identifiers, _inputs),
    outputs=st.lists(_part({"model": identifiers}, many=st.booleans(), optional=st.booleans()), max_size=2),
    models_in=st.lists(identifiers, max_size=2),
    models_out=st.lists(identifiers, max_size=2),
    **_settings,
    **{"async": st.booleans()},
)
_intervals = st.floats(1, 3_153_600_000) | st.integers(1, 9)
_schedules = _part({}, cron=texts, interval=_intervals, rrule=texts, timezone=texts, paused=st.booleans())
_names = st.text(min_size=1, max_size=6).filter(lambda name: not set(name) & set("/%&><"))
_work_pools = _part(
    {},
    name=_names,
    type=st.sampled_from(("process", "docker", "kubernetes")),
    queue=_names,
    job_variables=json_objects,
    directory=texts.map("/{}".format) | texts.map("${{HOME}}{}".format),
)
_flow_settings = {
    "description": texts,
    "schedule": _schedules,
    "tags": _tags,
    "parameters": json_objects,
    "concurrency": st.integers(1, 9),
    "collision_strategy": st.sampled_from(("enqueue", "cancel_new")),
    "work_pool": _work_pools,
    "task_runner": st.sampled_from(("dask", "ray")),
    "task_runner_options": json_objects,
}
flows = _part({}, segments=st.lists(st.lists(operation_names, max_size=2), max_size=2), **_flow_settings)
services = _part(
    {},
    image=_non_empty,
    command=st.lists(texts, min_size=1, max_size=2),
    uri=_non_empty,
    environment=st.dictionaries(texts, texts, max_size=2),
    ports=_tags,
    volumes=_tags,
    depends_on=st.lists(_non_empty, max_size=2),
)
environments = _part(
    {},
    project=_part({}, mode=st.sampled_from(["local", "docker"])),
    models=_entries(identifiers, _part({}, **_model_settings)),
    operations=_entries(operation_names, _part({}, **_settings)),
    flows=_entries(operation_names, _part({}, **_flow_settings)),
    services=_entries(texts, services),
)


def manifests() -> st.SearchStrategy[dict[str, Any]]:
    """Valid manifests as plain data; names that they mention need not exist."""
    project = _part({"name": _non_empty}, modules=_tags, mode=st.sampled_from(["local", "docker"]))
    return _part(
        {"version": st.just(1), "project": project},
        models=_entries(identifiers, models),
        operations=_entries(operation_names, operations),
        flows=_entries(operation_names, flows),
        services=_entries(texts, services),
        environments=_entries(texts, environments),
        declared=_part({}, models=_entries(identifiers, json_objects), operations=_entries(operation_names, json_objects)),
    )


@st.composite
def damaged_manifests(draw: st.DrawFn) -> Any:
    """Manifests with one or two accidental changes; some are still valid."""
    data = draw(manifests())
    for _ in range(draw(st.integers(1, 2))):
        data = copy.deepcopy(data)
        _damage(draw, draw(st.sampled_from(_containers(data))))
    return data


def _containers(value: Any) -> list[Any]:
    children = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else None
    return [] if children is None else [value, *(inner for child in children for inner in _containers(child))]


def _damage(draw: st.DrawFn, container: Any) -> None:
    """Remove, replace, nudge or add something in a mapping or a list."""
    keys = list(container) if isinstance(container, dict) else range(len(container))
    if not keys or draw(st.integers(0, 3)) == 0:
        if isinstance(container, dict):
            container[draw(texts | st.sampled_from(["x-new", "retrys", "json_schema", "is_async"]))] = draw(json_values)
        else:
            container.append(draw(json_values))
        return
    key = draw(st.sampled_from(list(keys)))
    value = container.pop(key)
    if draw(st.booleans()) and isinstance(container, dict):
        container[draw(st.sampled_from([f"{key}\n", f"{key}.A", f"{key}s", key]))] = value
    elif draw(st.booleans()):
        other = draw(st.just(_nudged(value)) | json_values | st.sampled_from([None, 0, -1, 1.0, 2.0, 0.5, True, "", "1", {}, []]))
        container.__setitem__(key, other) if isinstance(container, dict) else container.insert(key, other)


def _nudged(value: Any) -> Any:
    if isinstance(value, str):
        return f"{value}\n"
    return float(value) if isinstance(value, int) and abs(value) < 10**15 else [value]
