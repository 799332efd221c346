"""What somebody meant who wrote a key, a word or a name that the manifest does not know.

People come with the words of other tools, put a key where it does not belong, and mistype. All hints say what to write.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pulpo.manifest.schema import schema
from pulpo.names import did_you_mean, operation_name_problem, snake_case

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: As alike as `retrys` and `retries`: surely a slip, whatever else the word may mean elsewhere.
_A_SLIP = 0.8
#: Where the keys of a part are written, the likeliest place for a key first.
_WHERE = {
    "OperationSpec": "operations.NAME",
    "FlowSpec": "flows.NAME",
    "ModelSpec": "models.NAME",
    "ServiceSpec": "services.NAME",
    "ProbeSpec": "services.NAME.probe",
    "ResourcesSpec": "services.NAME.resources",
    "DockerSpec": "project.docker",
    "InputSpec": "operations.NAME.inputs.NAME",
    "ParameterSpec": "operations.NAME.parameters.NAME",
    "ScheduleSpec": "flows.NAME.schedule",
    "CacheSpec": "operations.NAME.cache",
    "ProjectSpec": "project",
    "WorkPoolSpec": "flows.NAME.work_pool",
    "Manifest": "the top of the file",
}


def _words(**meant: str) -> dict[str, str]:
    """By the word of another tool what it is here: each keyword is a key, its value the other words for it."""
    return {word: f"it is called {key.rstrip('_')!r} here" for key, words in meant.items() for word in words.split()}


_SETTINGS = _words(
    retries="max_retries retry retry_count retry_attempts attempts max_attempts num_retries",
    retry_delay="retry_wait retry_delay_seconds retry_interval retry_backoff delay backoff",
    timeout="timeout_seconds execution_timeout time_limit max_time max_runtime",
    concurrency="max_concurrency concurrency_limit parallelism max_parallel max_workers workers num_workers",
    after="depends_on depends dependencies needs requires upstream upstreams wait_for runs_after",
    on_error="on_failure continue_on_error ignore_errors allow_failure error_policy",
    tags="labels label",
    category="group groups",
    description="doc docs docstring title summary comment",
) | dict.fromkeys(("cache_ttl", "ttl", "cache_expiration", "cache_for"), "write it as cache: {ttl: SECONDS}")
_OPERATION = (
    _SETTINGS
    | _words(
        entrypoint="function func callable handler target python_callable fn path import_path",
        async_="is_async coroutine asynchronous",
        parameters="params args arguments kwargs variables",
        outputs="returns return result results produces",
        inputs="consumes takes",
        models_in="reads",
        models_out="writes",
    )
    | {"name": "the key of the entry is its name", "module": "write it as entrypoint: package.module:function"}
)
_MODEL_SETTINGS = _words(
    collection="table table_name collection_name",
    key="primary_key natural_key unique_key unique pk id",
    indexes="index indices",
    tags="labels label",
    description="doc docs docstring title summary comment",
)
_MODEL = (
    _MODEL_SETTINGS
    | _words(
        schema="json_schema jsonschema fields properties columns definition",
        entrypoint="class class_name python_class path import_path",
    )
    | {"name": "the key of the entry is its name"}
)
_FLOW = _words(
    tags="labels label",
    parameters="params args arguments",
    concurrency="concurrency_limit max_concurrency max_runs max_active_runs",
    collision_strategy="on_collision concurrency_policy",
    task_runner="executor runner",
    description="doc docs docstring title summary comment",
) | {
    **dict.fromkeys(("work_pool_name", "pool"), "write it as work_pool: {name: NAME}"),
    **dict.fromkeys(("work_queue", "work_queue_name", "queue"), "write it as work_pool: {queue: NAME}"),
    **dict.fromkeys(("job_variables", "image", "env"), "it belongs under work_pool, as work_pool: {job_variables: {…}}"),
    **dict.fromkeys(
        ("operations", "steps", "tasks", "jobs", "flows", "children"),
        "a flow holds the operations whose names begin with its own: name an operation flow.step",
    ),
}
_PARAMETER = _words(schema="json_schema", default="value", description="doc help title") | {
    **dict.fromkeys(
        ("type", "enum", "minimum", "maximum", "format", "items"), "it belongs under schema, as schema: {type: string}"
    ),
    "required": "a parameter without a default is required",
    "optional": "a parameter with a default is optional",
}

#: What other words mean, by the part of the manifest in which they are met.
PEERS: Mapping[str, Mapping[str, str]] = {
    "Manifest": _words(
        operations="jobs tasks steps nodes functions ops assets",
        models="tables datasets entities schemas datamodels types",
        flows="pipelines dags workflows deployments",
        environments="envs overlays profiles stages targets",
        services="containers",
        version="apiversion api_version schema_version format_version",
        project="package",
    )
    | dict.fromkeys(("schedule", "schedules"), "it belongs to a flow: flows.NAME.schedule"),
    "ProjectSpec": _words(name="title id project", modules="packages package module imports", mode="driver runtime"),
    "OperationSpec": _OPERATION,
    "OperationSettings": _SETTINGS,
    "ModelSpec": _MODEL,
    "ModelSettings": _MODEL_SETTINGS,
    "FlowSpec": _FLOW,
    "FlowSettings": _FLOW,
    "ParameterSpec": _PARAMETER,
    "InputSpec": _words(
        model="type class",
        from_="source sources producer producers upstream operation operations",
        mode="cardinality kind",
        many="list multiple array",
        optional="nullable required",
        select="filter glob pattern only",
    )
    | {"default": "an input has no default; with optional: true None comes in where nothing comes"},
    "OutputSpec": _words(model="type class", many="list multiple array", optional="nullable required"),
    "ScheduleSpec": _words(cron="crontab expression", interval="every seconds", timezone="tz time_zone", paused="disabled")
    | dict.fromkeys(("enabled", "active"), "it is called 'paused' here, the other way round"),
    "WorkPoolSpec": _words(
        type="kind infrastructure",
        queue="work_queue work_queue_name",
        directory="path working_dir workdir cwd",
        job_variables="variables infra_overrides",
    )
    | dict.fromkeys(("image", "env", "command", "namespace"), "it belongs under job_variables: job_variables: {image: NAME}"),
    "CacheSpec": _words(ttl="seconds expires expiration expire timeout max_age duration"),
    "ServiceSpec": _words(
        environment="env environment_variables envs",
        depends_on="depends needs requires after links",
        ports="expose",
        command="cmd args entrypoint run",
        volumes="mounts",
        probe="healthcheck health health_check readiness ready readiness_probe liveness_probe",
        restart="restart_policy",
        replicas="scale instances count",
        grace="stop_grace_period grace_period stop_timeout",
        resources="limits deploy",
    )
    | dict.fromkeys(("cpus", "cpu", "memory", "mem_limit"), "it belongs under resources: resources: {cpus: 1, memory: 512m}")
    | dict.fromkeys(("disabled", "disable"), "it is called 'enabled' here, the other way round"),
    "ProbeSpec": _words(
        http="path url http_get get page",
        tcp="socket tcp_socket",
        command="exec cmd test",
        log="pattern regex ready_log log_line",
        timeout="start_period seconds",
    ),
    "ResourcesSpec": _words(cpus="cpu", memory="mem mem_limit ram"),
    "DockerSpec": _words(
        host="url engine docker_host",
        image="name tag",
        base_image="base from python",
        packages="apt debian apt_packages",
        extras="extra",
    ),
}

#: Other words for the choices of a key.
CHOICES: Mapping[str, Mapping[str, str]] = {
    "on_error": dict.fromkeys(("ignore", "continue", "warn", "pass", "drop"), "skip")
    | dict.fromkeys(("raise", "stop", "abort", "error", "halt"), "fail"),
    "mode": dict.fromkeys(("list", "many"), "all")
    | dict.fromkeys(("single", "single_record"), "one")
    | dict.fromkeys(("map", "mapped", "foreach", "for_each"), "each")
    | dict.fromkeys(("dict", "by_name", "by_producer"), "keyed")
    | dict.fromkeys(("last", "latest", "prior"), "previous")
    | dict.fromkeys(("process", "processes", "host"), "local")
    | dict.fromkeys(("container", "containers", "compose", "kubernetes"), "docker"),
}


def key_hint(part: str, key: str, known: Iterable[str]) -> str:
    """What to write in the place of an unknown key.

    Args:
        part: The definition of the schema that the key stands in, such as `OperationSpec`; `Manifest` at the top.
        key: The key.
        known: The keys that the part knows.
    """
    known = list(known)
    word = snake_case(key).replace("-", "_")
    if word.startswith("x_"):
        return f"a key of your own is written {f'x-{key[2:]}'!r}"
    if word in known:
        return f"did you mean {word!r}?"
    if told := PEERS.get(part, {}).get(word):
        return told
    if slip := did_you_mean(word, known, cutoff=_A_SLIP):
        return slip
    if where := _elsewhere(part, word):
        return where
    return did_you_mean(word, known) or f"keys here are {', '.join(known)}; your own begin with x-"


def _elsewhere(part: str, key: str) -> str | None:
    definitions = {**schema()["$defs"], "Manifest": schema()}
    for other, where in _WHERE.items():
        if other != part and key in definitions[other]["properties"]:
            return f"{key} belongs to {where}"
    return None


def choice_hint(key: str | int, value: object, options: list[str]) -> str | None:
    """Which of the choices of a key was meant."""
    if key == "origin":
        return "leave it out of what the code declares"
    if not isinstance(value, str):
        return None
    meant = CHOICES.get(str(key), {}).get(value.lower().replace("-", "_"))
    return f"did you mean {meant!r}?" if meant in options else did_you_mean(value.lower(), options)


def operation_hint(name: str) -> str | None:
    """The name of an operation that a bad one is near to."""
    near = ".".join(snake_case(part) for part in re.split(r"[./:]+", name.strip()))
    near = near.replace("-", "_").replace(" ", "_")
    return None if near == name or operation_name_problem(near) else f"did you mean {near!r}?"


def model_hint(name: str) -> str | None:
    """The name of a model, or of a parameter, that a bad one is near to; of a dotted one the last part."""
    near = re.sub(r"\W+", "_", name.strip().rpartition(".")[2], flags=re.ASCII).strip("_")
    return f"did you mean {near!r}?" if near and not near[0].isdigit() else None


def entrypoint_hint(value: str) -> str | None:
    """The entrypoint that a bad one is near to: a path, a dotted name, a call."""
    module, colon, name = value.strip().removesuffix("()").replace("::", ":").partition(":")
    module = module.removesuffix(".py").replace("/", ".").strip(".")
    if not colon:
        module, _, name = module.rpartition(".")
    parts = [*module.split("."), *name.split(".")]
    near = f"{module}:{name}"
    return f"did you mean {near!r}?" if near != value and all(map(str.isidentifier, parts)) else None
