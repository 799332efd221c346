"""References to environment variables: what they stand for, what is wrong with them, and that nothing shows their values."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulpo.errors import DiagnosticsError
from pulpo.manifest.filled import filled_flows
from pulpo.manifest.model import Manifest
from pulpo.manifest.references import (
    Reference,
    malformed_references,
    redact,
    references,
    resolve,
    variable_states,
)
from pulpo.manifest.rules import rule_problems

BASE = {"version": 1, "project": {"name": "shop"}}


def of_service(text):
    return {"services": {"db": {"uri": text}}}


def resolved(text, **environ):
    return resolve(of_service(text), environ).data["services"]["db"]["uri"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("${A}", "a"),
        ("x${A}y${A}", "xaya"),
        ("${A:-b}", "a"),
        ("${NONE:-b}", "b"),
        ("${EMPTY:-b}", "b"),
        ("${EMPTY}", ""),
        ("${NONE:-}", ""),
        ("${NONE:-a b:-c$$}", "a b:-c$"),
        ("$$", "$"),
        ("$${A}", "${A}"),
        ("$$${A}", "$a"),
        ("$A costs 5$", "$A costs 5$"),
        ("${TRICKY}", "${A}$$"),
        ("${_x1}", "u"),
        ("a } b { c", "a } b { c"),
    ],
)
def test_references_stand_for_values(text, expected):
    assert resolved(text, A="a", EMPTY="", TRICKY="${A}$$", _x1="u") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${", "a reference without its end: ${…"),
        ("${A", "a reference without its end: ${A…"),
        ("a ${A:-b", "a reference without its end: ${A…"),
        ("${}", "a name is letters, digits and _, and does not begin with a digit: ${}"),
        ("${1X}", "a name is letters, digits and _, and does not begin with a digit: ${1X}"),
        ("${Ä}", "a name is letters, digits and _, and does not begin with a digit: ${Ä}"),
        ("${A-b}", "only ${NAME} and ${NAME:-default} are references: ${A…"),
        ("${A:b}", "only ${NAME} and ${NAME:-default} are references: ${A…"),
        ("${A:?b}", "only ${NAME} and ${NAME:-default} are references: ${A…"),
        ("${ A}", "only ${NAME} and ${NAME:-default} are references: ${…"),
        ("${A:-${B}}", "a default holds no braces and no other reference: ${A:-…"),
        ("${A:-{}}", "a default holds no braces and no other reference: ${A:-…"),
        ("${A} ${B}${", "a reference without its end: ${…"),
    ],
)
def test_a_malformed_reference_is_told_with_its_path(text, message):
    (problem,) = malformed_references(of_service(text))
    assert (problem.code, problem.path, problem.message) == ("PLP216", ("services", "db", "uri"), message)
    with pytest.raises(DiagnosticsError, match="PLP216"):
        resolve(of_service(text), {"A": "a", "B": "b"})


def test_references_stand_in_services_and_some_settings_of_flows_and_nowhere_else():
    bad = "${"
    data = {
        **BASE,
        "project": {"name": bad},
        "models": {"Order": {"description": bad}},
        "operations": {"a.b": {"entrypoint": "a:b", "description": bad}},
        "flows": {
            "a": {
                "description": bad,
                "parameters": {"limit": [1, {"to": bad}]},
                "schedule": {"cron": bad},
                "tags": [bad],
                "work_pool": {"name": bad, "job_variables": {"env": {"A": bad}, "x-a": bad}, "directory": bad, "x-note": bad},
                "task_runner_options": {"address": bad},
            }
        },
        "services": {"db": {"environment": {"A": bad, "B": "b"}, "command": ["x", bad], "x-note": bad}},
        "environments": {
            "prod": {"services": {"db": {"ports": [bad]}}, "flows": {"a": {"tags": [bad], "parameters": {"p": bad}}}}
        },
    }
    assert {d.path for d in rule_problems(Manifest.model_validate(data)) if d.code == "PLP216"} == {
        ("flows", "a", "parameters", "limit", 1, "to"),
        ("flows", "a", "task_runner_options", "address"),
        ("flows", "a", "work_pool", "directory"),
        ("flows", "a", "work_pool", "job_variables", "env", "A"),
        ("flows", "a", "work_pool", "job_variables", "x-a"),
        ("flows", "a", "work_pool", "name"),
        ("services", "db", "command", 1),
        ("services", "db", "environment", "A"),
        ("environments", "prod", "flows", "a", "parameters", "p"),
        ("environments", "prod", "services", "db", "ports", 0),
    }


def test_all_missing_variables_are_told_at_once_each_at_its_first_use():
    data = {
        "services": {
            "db": {"uri": "${HOST}:${PORT:-1}", "environment": {"A": "${HOST}", "B": "${PASSWORD}"}},
            "web": {"command": ["${HOST}"]},
        },
        "flows": {"a": {"parameters": {"p": "${OTHER}"}}},
    }
    with pytest.raises(DiagnosticsError) as raised:
        resolve(data, {"OTHER": ""})
    found = {d.message: (d.path, [r.path for r in d.related]) for d in raised.value.diagnostics}
    assert found == {
        "an environment variable is not set: HOST": (
            ("services", "db", "uri"),
            [("services", "db", "environment", "A"), ("services", "web", "command", 0)],
        ),
        "an environment variable is not set: PASSWORD": (("services", "db", "environment", "B"), []),
    }
    assert {d.code for d in raised.value.diagnostics} == {"PLP217"}


def test_resolving_leaves_everything_else_as_it_is():
    data = {
        **BASE,
        "flows": {"a": {"description": "${A}", "parameters": {"n": 1, "none": None, "p": "${A}"}}},
        "services": {"db": {"x-note": "${A}", "image": "${A}"}},
        "environments": {"prod": {"services": {"db": {"image": "${B}"}}}},
    }
    before = json.dumps(data)
    found = resolve(data, {"A": "1"}).data
    assert found["flows"]["a"] == {"description": "${A}", "parameters": {"n": 1, "none": None, "p": "1"}}
    assert found["services"]["db"] == {"x-note": "${A}", "image": "1"}
    assert found["environments"] == data["environments"]
    assert json.dumps(data) == before


def test_it_is_known_which_variables_are_set():
    data = {"services": {"db": {"uri": "${A}${B:-x}${C}${D:-y}${E}${E:-z}"}}}
    states = variable_states(data, {"A": "", "D": "", "B": "b"})
    assert states == {"A": "yes", "B": "yes", "C": "no", "D": "default", "E": "no"}


def test_what_is_resolved_does_not_show_itself():
    found = resolve(of_service("mongodb://app:${PASSWORD}@host"), {"PASSWORD": "hunter2"})
    assert "hunter2" in found.data["services"]["db"]["uri"]
    assert "hunter2" not in f"{found} {found!r} {[found]}"
    assert found.secrets == {"hunter2"}


def test_defaults_and_variables_that_are_not_used_are_no_secrets():
    assert resolve(of_service("${A:-a}${B:-}${C}"), {"B": "b", "C": "", "D": "d"}).secrets == {"b"}


@given(st.text(min_size=1, max_size=8), st.text(max_size=8), st.text(max_size=8))
@settings(max_examples=200)
def test_a_secret_is_redacted_however_it_is_written(secret, before, after):
    secrets = frozenset({secret, f"{secret}more"})
    for text in (secret, f"{secret}more", json.dumps({"a": secret}), repr({"a": secret})):
        shown = redact(f"{before} {text} {after}", secrets)
        rest = shown.replace("***", "")
        assert "***" in shown
        assert len(rest) <= len(f"{before} {text} {after}")
    assert redact(secret, secrets) == "***"
    assert redact(f"{secret}more", secrets) == "***"


def test_without_secrets_a_text_stays():
    assert redact("a text", frozenset()) == "a text"


@given(st.text("${}:-A1 ", max_size=12))
@settings(max_examples=200)
def test_every_text_is_resolved_or_refused(text):
    known = {"A": "v", "A1": "w"}
    problems = list(malformed_references(of_service(text)))
    names = {r.name for r in references(text) if r.default is None}
    try:
        result = resolve(of_service(text), known).data["services"]["db"]["uri"]
    except DiagnosticsError:
        assert problems or names - known.keys()
    else:
        assert not problems
        assert result == re.sub(
            r"\$\$|\$\{(A1?)(?::-([^{}]*))?\}|\$\{(AA[A1]*|A1[A1]+):-([^{}]*)\}",
            lambda m: "$" if m[0] == "$$" else known[m[1]] if m[1] else m[4].replace("$$", "$"),
            text,
        )


def test_a_default_may_be_empty_and_none_is_none():
    assert list(references("${A}${A:-}${A:-x}")) == [Reference("A"), Reference("A", ""), Reference("A", "x")]


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("mongodb://app:hunter2@host/db", True),
        ("mongodb://app:${PASSWORD}@host/db", False),
        ("mongodb://${USER:-app}:${PASSWORD}@host/db", False),
        ("mongodb://app:${PASSWORD:-}@host/db", False),
        ("mongodb://app:${PASSWORD:-hunter2}@host/db", True),
        ("mongodb://app:${PASSWORD:-hunter/2@}@host/db", True),
        ("mongodb://app:${A}${B}@host", False),
        ("mongodb://app:${A}x@host", True),
        ("mongodb://app:$${A}@host", True),
        ("redis://:hunter2@host", True),
        ("${URL:-mongodb://app:hunter2@host}", True),
        ("${URL:-mongodb://host:27017}", False),
        ("mongodb://host:27017/${DB:-a@b}", False),
        ("http://host:80/a@b", False),
    ],
)
@pytest.mark.parametrize("where", ["service", "flow", "environment"])
def test_a_password_in_a_uri_is_refused_and_a_reference_is_not(text, refused, where):
    service = {"services": {"db": {"environment": {"URL": text}}}}
    operations = {"a.b": {"entrypoint": "a:b"}}
    data = {
        "service": {**BASE, **service},
        "flow": {**BASE, "operations": operations, "flows": {"a": {"parameters": {"url": text}}}},
        "environment": {**BASE, "environments": {"prod": service}},
    }[where]
    found = [d for d in rule_problems(Manifest.model_validate(data)) if d.code == "PLP215"]
    assert len(found) == refused
    assert all("hunter" not in str(d) for d in found)


@pytest.mark.parametrize(
    ("name", "value", "refused"),
    [
        ("API_TOKEN", "hunter2", True),
        ("PASSWORD", "correct horse", True),
        ("PGPASSWORD", "123456", True),
        ("db_pass", "hunter2", True),
        ("CLIENT_SECRET", "hunter2/+=", True),
        ("AWS_SECRET_ACCESS_KEY", "hunter2", True),
        ("OPENAI_APIKEY", "hunter2", True),
        ("TLS_PRIVATE_KEY", "-----BEGIN PRIVATE KEY-----\nhunter2", True),
        ("API_TOKEN", "${TOKEN:-hunter2}", True),
        ("API_TOKEN", "${TOKEN}", False),
        ("API_TOKEN", "${TOKEN:-}", False),
        ("API_TOKEN", "Bearer ${TOKEN}", False),
        ("API_TOKEN", "$TOKEN", False),
        ("API_TOKEN", "", False),
        ("KEY", "hunter2", False),
        ("CACHE_KEY", "abc", False),
        ("SSH_PUBLIC_KEY", "ssh-ed25519 AAAA", False),
        ("AWS_ACCESS_KEY_ID", "AKIA", False),
        ("MAX_TOKENS", "hunter2", False),
        ("MAX_TOKEN", "4096", False),
        ("PAD_TOKEN", "[PAD]", False),
        ("SECRETARY", "ana", False),
        ("COMPASS", "north", False),
        ("MYSQL_ALLOW_EMPTY_PASSWORD", "yes", False),
        ("POSTGRES_PASSWORD_FILE", "hunter2", False),
        ("API_TOKEN", "/run/secrets/token", False),
        ("DB_PASSWORD", "op://vault/db/password", False),
        ("DB_PASSWORD", "redis://:hunter2@host", True),
    ],
)
def test_a_secret_of_a_service_is_a_reference(name, value, refused):
    service = {"services": {"web": {"environment": {name: value}}}}
    for data, above in (({**BASE, **service}, ()), ({**BASE, "environments": {"prod": service}}, ("environments", "prod"))):
        found = [d for d in rule_problems(Manifest.model_validate(data)) if d.code == "PLP215"]
        assert [d.path for d in found] == [(*above, "services", "web", "environment", name)] * refused
        assert all("hunter" not in str(d) for d in found)


def flows_with(**work_pool):
    return Manifest.model_validate({**BASE, "flows": {"a": {"work_pool": work_pool, "parameters": {"n": "${N:-1}"}}}}).flows


def test_flows_are_filled_with_what_references_stand_for():
    flows = flows_with(name="${POOL}-x", directory="${HOME}/jobs", job_variables={"env": {"TOKEN": "${TOKEN}"}})
    filled, secrets = filled_flows(flows, {"POOL": "big", "HOME": "/srv", "TOKEN": "hunter2"})
    assert filled["a"].data() == {
        "parameters": {"n": "1"},
        "work_pool": {"name": "big-x", "directory": "/srv/jobs", "job_variables": {"env": {"TOKEN": "hunter2"}}},
    }
    assert secrets == {"big", "/srv", "hunter2"}


def test_what_can_not_stand_there_is_refused_without_being_shown():
    flows = flows_with(name="${A}", queue="${B:-}", directory="${C}")
    with pytest.raises(DiagnosticsError) as raised:
        filled_flows(flows, {"A": "hunter2/hunter3", "C": "hunter4"})
    assert [(d.code, d.path[3:], d.message) for d in raised.value.diagnostics] == [
        ("PLP101", ("directory",), "what the variables stand for is not an absolute path, beginning with /"),
        ("PLP101", ("name",), "what the variables stand for is not a name that is not empty and has none of / % & < > in it"),
        ("PLP101", ("queue",), "what the variables stand for is not a name that is not empty and has none of / % & < > in it"),
    ]
    assert "hunter" not in str(raised.value)


def test_a_directory_that_only_looks_like_a_reference_is_refused():
    with pytest.raises(DiagnosticsError, match="absolute path"):
        filled_flows(flows_with(directory="${X}"), {"X": "${jobs}"})
