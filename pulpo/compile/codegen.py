"""Flows printed as Prefect code: decided here to the last comma, shown in the templates."""

from __future__ import annotations

import functools
import itertools
import re
from dataclasses import dataclass
from keyword import iskeyword
from typing import TYPE_CHECKING, ClassVar

from pulpo.compile.flow import FlowDefinition
from pulpo.compile.identifiers import parameter_names
from pulpo.compile.literals import LINE, items, one_a_line, py, seconds
from pulpo.compile.modules import STANDALONES, Layout, own_steps
from pulpo.compile.orchestration import OrchestrationCompiler
from pulpo.compile.parameter_schema import in_order, parameter_texts
from pulpo.compile.scope import Scope
from pulpo.compile.task_runner import task_runner_of
from pulpo.errors import UsageError
from pulpo.manifest.model import Mode
from pulpo.names import PIPELINE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jinja2 import Environment

    from pulpo.compile.flow import Argument, Settings, Step
    from pulpo.compile.modules import Module
    from pulpo.compile.task_runner import TaskRunner
    from pulpo.manifest.model import Manifest

#: The first line of what `pulpo compile` makes, but for the summary above it, is this.
HEADER = "Made by `pulpo compile` from pulpo.lock.yaml. Do not edit: change the lock, and compile again."
#: What the runtime calls each mode.
_MODES = {Mode.ONE: "one", Mode.EACH: "each", Mode.ALL: "every", Mode.KEYED: "keyed", Mode.PREVIOUS: "previous"}
#: Prefect takes no more delays; the last one goes for all retries after it.
_MAX_DELAYS = 50
#: Parameters that Prefect's tasks have themselves.
_PREFECT_OWN = frozenset(("return_state", "wait_for"))
#: Lines that have to be as long as the text in them; the formatter leaves them.
_FREE_LINE = re.compile(r"""[ ]+(?:\w+=|"[^"\\]*":[ ])(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'),""")


@dataclass(frozen=True, slots=True)
class Retry:
    """How a task tries again."""

    times: int
    delays: str
    condition: str


@dataclass(frozen=True, slots=True)
class TaskText:
    """An operation's task; what is no plain value is text that stands as it is."""

    template: ClassVar[str] = "task.py.jinja"
    name: str
    operation: str
    description: str | None
    tags: str
    retry: Retry | None
    timeout: str | None
    parameters: str
    returns: str
    call: str
    arguments: str


@dataclass(frozen=True, slots=True)
class FlowText:
    """A flow's function; what is no plain value is text that stands as it is."""

    template: ClassVar[str] = "flow.py.jinja"
    name: str
    flow: str
    description: str | None
    #: Whether the decorator stands on one line.
    is_short: bool
    #: The expression, over several lines where it has to be.
    task_runner: str | None
    parameters: str
    run: str
    members: str


@dataclass(frozen=True, slots=True)
class ModuleText:
    """A module: its statements, and its functions in order."""

    summary: str
    standard: tuple[str, ...]
    frameworks: tuple[str, ...]
    #: Imports of the project's modules, those of one package together.
    user: tuple[tuple[str, ...], ...]
    #: What types of parameters are called, where there is more to one than Python says.
    aliases: tuple[str, ...]
    functions: tuple[TaskText | FlowText, ...]
    #: What it does where it is run as a script.
    main: str


class PrefectCodeGenerator:
    """Prints the flows of a manifest; imports neither Prefect nor user code.

    What is printed depends on the manifest alone, not on the order of its entries.
    """

    def __init__(self, manifest: Manifest, compiler: OrchestrationCompiler | None = None) -> None:
        """A generator for a manifest, whose compiler is made where it is not given.

        Raises:
            DiagnosticsError: Operations wait for each other.
            UsageError: A parameter has a name that Prefect keeps for itself.
        """
        self.manifest = manifest
        self.compiler = compiler or OrchestrationCompiler(manifest)
        self.orchestration = self.compiler.compile()
        self.layout = Layout(self.orchestration)
        _refuse_names(step for module in self.layout.modules for step in own_steps(module.flows))

    def generate_flows(self) -> dict[str, str]:
        """The text of each module by its file's name, sorted: one for each root flow, `standalones.py`, `pipeline_flow.py`."""
        return {f"{module.stem}.py": self._module(module) for module in self.layout.modules}

    def generate_flow(self, flow: FlowDefinition) -> str:
        """The text of a flow's function, as it stands in its module."""
        return _render(self._writer(self.layout.flow(flow).stem).flow(flow))

    def generate_task(self, step: Step) -> str:
        """The text of a step's task, as it stands in its module."""
        return _render(self._writer(self.layout.task(step.operation).stem).task(step))

    def entrypoint(self, name: str) -> str:
        """Where the function of the flow of that name is: `scraping_flow.py:scraping_flow`.

        Raises:
            KeyError: There is no such flow.
        """
        flow = self.orchestration.get(name)
        if flow is None:
            raise KeyError(name)
        place = self.layout.flow(flow)
        return f"{place.stem}.py:{place.function}"

    def _writer(self, stem: str) -> _Writer:
        module = next(module for module in self.layout.modules if module.stem == stem)
        whole = self.orchestration.get(PIPELINE)
        return _Writer(module, self.layout, self.manifest, whole.steps() if whole is not None else ())

    def _module(self, module: Module) -> str:
        text = _environment().get_template("module.py.jinja").render(module=self._writer(module.stem).module(), header=HEADER)
        if any(len(line) > LINE and not _FREE_LINE.fullmatch(line) for line in text.split("\n")[1:]):
            # Names can be longer than a line; the formatter would take statements apart that no layout makes fit.
            summary, header, rest = text.partition(f'{HEADER}\n"""\n')
            text = f"{summary}{header}\n# fmt: off\n{rest}"
        compile(text, f"{module.stem}.py", "exec")
        return text


class _Writer:
    """Decides the texts of one module."""

    def __init__(self, module: Module, layout: Layout, manifest: Manifest, whole: Iterable[Step]) -> None:
        self._module = module
        self._layout = layout
        self._manifest = manifest
        # Wherever a step is written, it takes from and waits for what it does in the whole project, in other files too.
        self._steps = {step.operation: step for step in whole}
        self._scope = Scope(module, layout, manifest)

    def module(self) -> ModuleText:
        """The whole module."""
        functions: list[TaskText | FlowText] = []
        seen: set[str] = set()
        for flow in self._module.flows:
            for step in own_steps([flow]) if self._module.has_tasks else ():
                if step.operation not in seen:
                    seen.add(step.operation)
                    functions.append(self.task(step))
            functions.append(self.flow(flow))
        aliases = self._scope.aliases()
        main = self._main()
        return ModuleText(
            summary=self._summary(),
            standard=self._scope.standard(main.partition(".")[0]),
            frameworks=self._scope.frameworks(),
            user=self._scope.user(),
            aliases=aliases,
            functions=tuple(functions),
            main=main,
        )

    def _summary(self) -> str:
        if self._module.stem == STANDALONES:
            return "Flows of operations without a dot."
        whole = self._module.roots[0]
        if whole.name == PIPELINE:
            return f"Flow `{PIPELINE}`: the whole project."
        text = f"Flow `{whole.name}`: {', '.join(whole.operations)}."
        count = len(whole.operations)
        return text if len(text) + 3 <= LINE else f"Flow `{whole.name}`: {count} operation{'' if count == 1 else 's'}."

    def _main(self) -> str:
        """Runs the one flow of the module that is no part of another, or says how such a flow is run."""
        first, *others = self._module.roots
        needed = [p.name for p in first.parameters if p.required]
        if not others and not needed:
            return f"asyncio.run({self._layout.flow(first).function}())"
        values = "".join(f" --param {name}=..." for name in needed)
        said = "several flows are in this file, run one of them" if others else "the flow needs values for its parameters"
        text = py(f"{said}: pulpo run {first.name} --engine prefect{values}")
        return f"sys.exit({items([text], len('    sys.exit('), 1, 4)})"

    def task(self, step: Step) -> TaskText:
        """The task of one of the module's own steps."""
        step = self._steps[step.operation]
        name, call = self._layout.task(step.operation).function, self._scope.runtime("call")
        typed = self._scope.typed(step)
        returns = self._returns(step)
        given = [self._scope.function(step.entrypoint), *(f"{argument}={argument}" for argument in typed)]
        settings, tags = step.settings, [*map(py, step.settings.tags)]
        return TaskText(
            name=name,
            operation=step.operation,
            description=self._manifest.operations[step.operation].description,
            tags=items(tags, len("    tags=["), len("],"), 4),
            retry=self._retry(step),
            timeout=seconds(settings.timeout) if settings.timeout is not None else None,
            parameters=items(
                [f"{argument}: {kind}" for argument, kind in typed.items()],
                len(f"async def {name}("),
                len(f") -> {returns.partition(chr(10))[0]}:"),
                0,
            ),
            returns=returns,
            call=call,
            arguments=items(given, len(f"    return await {call}("), 1, 4),
        )

    def _retry(self, step: Step) -> Retry | None:
        settings = step.settings
        if not settings.retries:
            return None
        text = items([*map(seconds, delays_of(settings))], len("    retry_delay_seconds=["), len("],"), 4)
        return Retry(settings.retries, text, self._scope.runtime("worth_retrying"))

    def _returns(self, step: Step) -> str:
        outputs = []
        for output in step.outputs:
            model = self._scope.model(output.model)
            outputs.append((f"list[{model}]" if output.many else model) + (" | None" if output.optional else ""))
        if len(outputs) < 2:  # noqa: PLR2004 - not a tuple
            return outputs[0] if outputs else "None"
        return f"tuple[{items(outputs, len(') -> tuple['), len(']:'), 0)}]"

    def flow(self, flow: FlowDefinition) -> FlowText:
        """One of the module's flows."""
        name = self._layout.flow(flow).function
        names = parameter_names(flow)
        texts = parameter_texts(flow)
        typed = [
            f"{names[p.name]}: {self._scope.parameter(p, texts[p.name])}" + ("" if p.required else f" = {py(p.default)}")
            for p in in_order(flow)
        ]
        entry = self._manifest.flows.get(flow.name)
        description = entry.description if entry else None
        runner = task_runner_of(self._manifest.flows, flow.name)
        return FlowText(
            name=name,
            flow=flow.name,
            description=description,
            is_short=description is None and runner is None and len(f"@flow(name={py(flow.name)})") <= LINE,
            task_runner=self._task_runner(runner) if runner is not None else None,
            parameters=items(typed, len(f"async def {name}("), len(") -> State[None]:"), 0),
            run=self._scope.runtime("run"),
            members=one_a_line([self._member(flow, member) for member in flow.members], 4),
        )

    def _task_runner(self, runner: TaskRunner) -> str:
        options = runner.options
        if all(name.isidentifier() and not iskeyword(name) for name in options):
            given = [f"{name}={py(options[name])}" for name in sorted(options)]
        else:  # no option of any task runner, which its call says
            given = [f"**{py(dict(sorted(options.items())))}"]
        return _call(f"task_runner={self._scope.runtime(runner.kind)}", given, 4).removeprefix("task_runner=")

    def _member(self, flow: FlowDefinition, member: Step | FlowDefinition) -> str:
        names = parameter_names(flow)
        outer = {target: names[p.name] for p in flow.parameters for target in p.targets}
        if isinstance(member, FlowDefinition):
            inner = parameter_names(member)
            given = [f"{inner[p.name]}={outer[p.targets[0]]}" for p in member.parameters]
            return _call(self._scope.runtime("subflow"), [self._scope.flow(member), *given], 8)
        step = self._steps[member.operation]
        arguments = [self._argument(argument) for argument in step.arguments]
        plain = [f"{p.name}={outer[step.operation, p.name]}" for p in step.parameters if p.argument is None]
        objects = [self._object(step, argument, entrypoint, outer) for argument, entrypoint in step.parameter_objects]
        given = [self._scope.task(step.operation), *arguments, *plain, *objects]
        return _call(self._scope.runtime("step"), given, 8, [*map(py, order_only(step))])

    def _argument(self, argument: Argument) -> str:
        producers = [*map(py, argument.producers)]
        return _call(f"{argument.name}={self._scope.runtime(_MODES[argument.mode])}", producers, 12)

    def _object(self, step: Step, argument: str, entrypoint: str, outer: dict[tuple[str, str], str]) -> str:
        fields = [f"{p.name}={outer[step.operation, p.name]}" for p in step.parameters if p.argument == argument]
        return _call(f"{argument}={self._scope.parameter_object(entrypoint)}", fields, 12)


def delays_of(settings: Settings) -> list[float]:
    """The delays that Prefect is told of: as many as it takes."""
    return list(itertools.islice(settings.delays(), _MAX_DELAYS))


def order_only(step: Step) -> tuple[str, ...]:
    """The operations that a step waits for without taking anything from them, sorted: what its member's `after` names."""
    return tuple(o for o in step.after if not any(o in argument.sources for argument in step.arguments))


def _call(function: str, given: Sequence[str], indent: int, after: Sequence[str] = ()) -> str:
    """A call as an item on a line of its own, with `.after(...)` behind it if there is something to wait for."""
    line = f"{function}({', '.join(given)})" + (f".after({', '.join(after)})" if after else "")
    if "\n" not in line and indent + len(line) + 1 <= LINE:
        return line
    text = f"{function}({one_a_line(given, indent)})"
    return f"{text}.after({items(after, indent + len(').after('), 2, indent)})" if after else text


def _refuse_names(steps: Iterable[Step]) -> None:
    """Prefect refuses tasks with parameters of these names, and Python those that are its words."""
    for step in steps:
        for name in [*(a.name for a in step.arguments), *(p.name for p in step.parameters), *dict(step.parameter_objects)]:
            if name in _PREFECT_OWN or iskeyword(name):
                whose = "Prefect" if name in _PREFECT_OWN else "Python"
                raise UsageError(
                    f"{step.operation}: {whose} keeps this name of a parameter for itself: {name}",
                    hint="rename it in the function, and run `pulpo lock`",
                )


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pulpo.compile"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - Python, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["py"] = py
    return environment


def _render(function: TaskText | FlowText) -> str:
    return _environment().get_template(function.template).render(function=function)
