"""Small projects for the tests of the engine: models, functions and flows made on the spot."""

import dataclasses
import inspect
import itertools
import sys
import types
from dataclasses import dataclass, field

from pydantic import BaseModel

from pulpo.compile.flow import REQUIRED, Argument, FlowDefinition, FlowParameter, Output, Parameter, Settings, Step
from pulpo.manifest.model import Mode, ModelSpec
from pulpo.run.codec import collection_of
from pulpo.run.history import every
from pulpo.run.inline import execute

_numbers = itertools.count(1)


class Job(BaseModel):
    url: str
    salary: int = 0


class Clean(BaseModel):
    url: str
    salary: int = 0


class Note(BaseModel):
    text: str


def takes(name, model, mode=Mode.ONE, sources=(), **more):
    producers = more.pop("producers", sources)
    return Argument(name, model, mode, tuple(sorted(sources)), tuple(sorted(producers)), **more)


def many(model):
    return Output(model, many=True)


@dataclass
class Project:
    store: object
    models: dict = field(default_factory=dict)
    steps: list = field(default_factory=list)
    events: list = field(default_factory=list)

    def __post_init__(self):
        self.module = types.ModuleType(f"workshop_project_{next(_numbers)}")
        sys.modules[self.module.__name__] = self.module
        self.model(Job, key=["url"])
        self.model(Clean, key=["url"])
        self.model(Note)

    def entrypoint(self, thing, name=None):
        name = name or thing.__name__
        setattr(self.module, name, thing)
        return f"{self.module.__name__}:{name}"

    def model(self, cls, **spec):
        self.models[cls.__name__] = ModelSpec.model_validate({"entrypoint": self.entrypoint(cls), **spec})

    def step(
        self, name, function, *arguments, out=(), after=(), parameters=(), objects=(), models_in=(), models_out=(), **settings
    ):
        outputs = tuple(Output(o) if isinstance(o, str) else o for o in ([out] if isinstance(out, str | Output) else out))
        waits = {*after, *(source for argument in arguments for source in argument.sources)}
        step = Step(
            name,
            self.entrypoint(function, f"f_{name.replace('.', '_')}"),
            is_async=inspect.iscoroutinefunction(function),
            arguments=tuple(arguments),
            parameters=tuple(Parameter(p, {}) if isinstance(p, str) else p for p in parameters),
            parameter_objects=tuple(objects),
            outputs=outputs,
            after=tuple(sorted(waits)),
            models_in=tuple(models_in),
            models_out=tuple(models_out),
            settings=Settings(**settings),
        )
        by_name = {one.operation: one for one in self.steps}
        self.steps = list({**by_name, name: step}.values())
        return step

    def flow(self, *names, name="pipeline"):
        """The flow of all steps, or of those named: what the others would make comes from outside."""
        steps = tuple(self.steps)
        targets = {}
        for step in steps:
            for parameter in step.parameters:
                targets.setdefault(parameter.name, []).append((step.operation, parameter))
        whole = FlowDefinition(
            name,
            steps,
            parameters=tuple(
                FlowParameter(p, tuple(sorted(o for o in [(op, one.name) for op, one in found])), {}, found[0][1].default)
                for p, found in sorted(targets.items())
            ),
            operations=tuple(s.operation for s in steps),
            dependencies={s.operation: s.after for s in steps},
        )
        return _part(whole, names) if names else whole

    async def run(self, *names, flow="pipeline", **options):
        self.events.clear()
        return await execute(
            self.flow(*names, name=flow), models=self.models, store=self.store, on_event=self.events.append, **options
        )

    async def records(self, model):
        """What the store holds of a model, by id."""
        collection = collection_of(model, self.models[model])
        return [record async for record in every(self.store, collection, ())]

    async def data(self, model):
        return sorted((record.data for record in await self.records(model)), key=str)


def told(function):
    """An operation that hands its one argument to the function."""
    return lambda **arguments: function(*arguments.values())


def states(run):
    return {step.operation: step.state.value for step in run.steps}


def step_of(run, name):
    return next(step for step in run.steps if step.operation == name)


__all__ = ["REQUIRED", "Mode", "Output", "Parameter"]


def _part(whole, names):
    """The flow with these steps alone: what they take from others comes from outside."""
    steps = tuple(
        dataclasses.replace(
            step,
            arguments=tuple(dataclasses.replace(a, sources=tuple(s for s in a.sources if s in names)) for a in step.arguments),
            after=tuple(s for s in step.after if s in names),
        )
        for step in whole.steps()
        if step.operation in names
    )
    parameters = tuple(
        dataclasses.replace(p, targets=targets)
        for p in whole.parameters
        if (targets := tuple(t for t in p.targets if t[0] in names))
    )
    return dataclasses.replace(
        whole,
        members=steps,
        parameters=parameters,
        operations=tuple(s.operation for s in steps),
        dependencies={s.operation: s.after for s in steps},
    )
