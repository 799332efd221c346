"""Whatever there is and whatever is wanted: a whole plan, in any order that it allows, leads there, also when it is cut short."""

from __future__ import annotations

import contextlib
import copy
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pulpo.apply.ledger import Ledger
from pulpo.apply.whole import Applied, WholePlan, carry_out, make_plan
from pulpo.compile.deployment import WorkPool
from pulpo.store.base import Collection, Index, ObservedCollection, ObservedIndex
from tests.apply.database.worlds import PROJECT, Killed
from tests.apply.wanted import deployment
from tests.apply.whole_world import Manifest, World

NEEDS = {"db": (), "prefect": (), "worker": ("prefect",), "api": ("db", "prefect"), "shop": ("api",), "cache": ()}
INDEXES = [Index(("email",)), Index(("email",), unique=True), Index(("age",)), Index(("age", "email"))]


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    chosen = {"db", "prefect"} | set(draw(st.lists(st.sampled_from(sorted(NEEDS)), unique=True)))
    services = {
        name: (draw(st.sampled_from("12")), tuple(n for n in needs if n in chosen))
        for name, needs in NEEDS.items()
        if name in chosen
    }
    names = draw(st.lists(st.sampled_from(["users", "orders"]), min_size=1, unique=True))
    unique_fields = st.lists(st.sampled_from(INDEXES), unique_by=lambda index: index.fields).map(tuple)
    collections = [Collection(name, draw(unique_fields)) for name in names]
    flows = draw(st.lists(st.sampled_from(["a", "a.b", "c", "d"]), min_size=1, unique=True))
    deployments = [
        deployment(
            flow,
            project=PROJECT,
            work_pool=WorkPool(draw(st.sampled_from(["shop-process", "other"])), "process"),
            description=draw(st.sampled_from(["one", "two"])),
        )
        for flow in flows
    ]
    return Manifest(services, collections, deployments)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """As an earlier apply, perhaps cut short, and people left it; with things of others in it."""
    world = World(managed=draw(st.booleans()))
    if not world.managed or draw(st.booleans()):
        foreign(world)
    if draw(st.booleans()):
        world.fuse = draw(st.none() | st.integers(0, 12))
        with contextlib.suppress(Killed):
            apply(world, draw(manifests()))
        world.fuse = None
    for name in sorted(world.running):
        match draw(st.integers(0, 4)):
            case 0:
                del world.running[name]
                world.stopped.add(name)
            case 1:
                world.starting.add(name)
    for found in list(world.prefect.deployments.values()):
        if found["name"] == PROJECT and draw(st.integers(0, 3)) == 0:
            found["description"] = "by hand"
    return world


def foreign(world: World) -> None:
    """What is not the project's: it stays as it is whatever happens."""
    world.database.found["theirs"] = ObservedCollection((ObservedIndex("mine", Index(("x",))),), 0, None)
    world.database.found["others"] = ObservedCollection((), 0, "other")
    world.prefect.flows["a"] = "flow-a"
    body = {"name": "theirs", "flow_id": "flow-a", "work_pool_name": "pool", "tags": ["pulpo.project=other"]}
    world.prefect.pools["pool"] = {"name": "pool", "type": "process", "default_queue_id": "q"}
    world.prefect._create(body)
    world.data.update({"db", "prefect"})


def others(world: World) -> Any:
    foreign_deployments = [d for d in world.prefect.deployments.values() if d["name"] == "theirs"]
    found = world.database.found
    return copy.deepcopy((found.get("theirs"), found.get("others"), foreign_deployments))


def apply(world: World, manifest: Manifest) -> Applied:
    targets = world.targets(manifest)
    return carry_out(targets, make_plan(targets))


def plan(world: World, manifest: Manifest) -> WholePlan:
    return make_plan(world.targets(manifest))


@settings(deadline=None, max_examples=150)
@given(worlds(), manifests())
def test_what_was_applied_is_there_and_the_next_plan_is_empty(world, manifest):
    before = others(world)
    applied = apply(world, manifest)
    assert applied.ok, applied
    assert not plan(world, manifest), plan(world, manifest)
    assert world.running == {name: digest for name, (digest, _) in manifest.services.items()}
    assert others(world) == before


@settings(deadline=None, max_examples=100)
@given(worlds(), manifests(), st.randoms(use_true_random=False))
def test_any_order_that_a_plan_allows_leads_there(world, manifest, chance):
    targets = world.targets(manifest)
    for _ in range(2):  # what waits for a service is in the second plan
        found = make_plan(targets)
        world.starting.clear()
        where = {
            change.address: target for target, part in zip(targets, found.parts, strict=True) for change in part.plan.changes
        }
        for address in random_order(found, chance):
            ledger = Ledger({})
            change = next(change for change in found.changes if change.address == address)
            where[address].execute([change], ledger)
            assert [one.outcome for one in ledger.settled] == ["done"], ledger.settled
    assert not plan(world, manifest), plan(world, manifest)


def random_order(found: WholePlan, chance: random.Random) -> list[str]:
    left, order = [change.address for change in found.changes], []
    while left:
        free = [address for address in left if not set(found.needs[address]) & set(left)]
        order.append(chance.choice(free))
        left.remove(order[-1])
    return order


@settings(deadline=None, max_examples=150)
@given(worlds(), manifests(), st.integers(0, 25))
def test_cut_anywhere_the_next_apply_finishes(world, manifest, after):
    before = others(world)
    world.writes, world.fuse = 0, after
    with contextlib.suppress(Killed):
        apply(world, manifest)
    world.fuse = None
    assert apply(world, manifest).ok
    assert not plan(world, manifest)
    assert others(world) == before


@settings(deadline=None, max_examples=150)
@given(worlds(), manifests(), st.data())
def test_what_fails_keeps_back_only_what_needs_it(world, manifest, data):
    first = plan(world, manifest)
    addresses = sorted({c.address for c in first.changes})
    world.failing = (
        frozenset(data.draw(st.lists(st.sampled_from(addresses), unique=True, max_size=3))) if addresses else frozenset()
    )
    applied = apply(world, manifest)
    outcomes = {one.change.address: one.outcome for one in applied.settled}
    for change in applied.plan.changes:
        needs = [outcomes[need] for need in applied.plan.needs[change.address]]
        kept_back = any(outcome != "done" for outcome in needs)
        expected = "untried" if kept_back else "failed" if change.address in world.failing else "done"
        assert outcomes[change.address] == expected, (change, needs)
    assert applied.ok is (not set(outcomes.values()) - {"done"} and not applied.problems)
    world.failing = frozenset()
    assert apply(world, manifest).ok
    assert not plan(world, manifest)
