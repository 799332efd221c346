import json

from pulpo.graph.dataflow import analyze
from pulpo.graph.render import as_json, dot, mermaid
from tests.graph.strategies import locked, operation

OPERATIONS = {
    "scraping.linkedin.fetch": operation(returns=("Raw", "Stats"), **{"async": True}),
    "scraping.end": operation({"raw": "list[Raw]", "stats": "Stats"}, tags=["b", "a"], description="Ends it."),
    "report": operation(after=["scraping.end"], models_in=["Raw"]),
}


def rendered(render, operations=OPERATIONS, chosen=None, **sections):
    recorded = locked(operations, **sections)
    if render is mermaid:
        return mermaid(analyze(recorded), chosen)
    return render(recorded, analyze(recorded), chosen)


def test_mermaid_nests_flows_labels_values_and_dashes_order():
    assert (
        rendered(mermaid)
        == """\
flowchart LR
  subgraph flow-scraping["scraping"]
    subgraph flow-scraping-linkedin["linkedin"]
      op-scraping-linkedin-fetch["fetch"]
    end
    op-scraping-end["end"]
  end
  op-report["report"]
  op-scraping-end -.-> op-report
  op-scraping-linkedin-fetch -.->|Raw| op-report
  op-scraping-linkedin-fetch -->|Raw, Stats| op-scraping-end
"""
    )


def test_dot_nests_flows_labels_values_and_dashes_order():
    assert (
        rendered(dot)
        == """\
digraph pipeline {
  rankdir=LR;
  node [shape=box, style=rounded];
  subgraph "cluster_scraping" {
    label="scraping";
    tooltip="scraping";
    subgraph "cluster_scraping.linkedin" {
      label="linkedin";
      tooltip="scraping.linkedin";
      "scraping.linkedin.fetch" [label="fetch"];
    }
    "scraping.end" [label="end", tooltip="Ends it."];
  }
  "report" [label="report"];
  "scraping.end" -> "report" [style="dashed"];
  "scraping.linkedin.fetch" -> "report" [label="Raw", style="dashed"];
  "scraping.linkedin.fetch" -> "scraping.end" [label="Raw, Stats"];
}
"""
    )


def test_names_that_only_differ_in_dots_and_underscores_stay_apart():
    text = rendered(mermaid, {"a.b_c": operation(), "a_b.c": operation(), "a.b.c": operation()})
    assert {line.strip() for line in text.splitlines() if "op-" in line} == {'op-a-b_c["b_c"]', 'op-a_b-c["c"]', 'op-a-b-c["c"]'}


def test_descriptions_can_not_break_out_of_dot():
    text = rendered(dot, {"a.x": operation(description='"];\n\\N &lt; ü')}, flows={"a": {"description": 'end "\\'}})
    assert r'tooltip="\"];\n\\\\N &amp;lt; ü"' in text
    assert r'tooltip="end \"\\\\";' in text
    assert len(text.splitlines()) == 9


def test_json_is_stable_and_versioned():
    data = json.loads(rendered(as_json, flows={"scraping": {"description": "Sites."}}))
    assert list(data) == ["version", "flows", "nodes", "edges"]
    assert data["version"] == 1
    assert data["flows"][1] == {
        "name": "scraping",
        "description": "Sites.",
        "flows": ["scraping.linkedin"],
        "operations": ["scraping.end"],
    }
    assert data["nodes"][1] == {
        "name": "scraping.end",
        "flow": "scraping",
        "description": "Ends it.",
        "async": False,
        "tags": ["a", "b"],
        "inputs": [{"parameter": "raw", "model": "Raw", "mode": "all"}, {"parameter": "stats", "model": "Stats", "mode": "one"}],
        "outputs": [],
        "models_in": [],
        "models_out": [],
    }
    assert data["nodes"][2]["async"]
    assert data["edges"][0] == {
        "producer": "scraping.end",
        "consumer": "report",
        "model": None,
        "parameter": None,
        "kind": "order",
    }


def test_a_part_is_drawn_without_the_rest():
    chosen = {"scraping.end", "report"}
    assert (
        rendered(mermaid, chosen=chosen)
        == """\
flowchart LR
  subgraph flow-scraping["scraping"]
    op-scraping-end["end"]
  end
  op-report["report"]
  op-scraping-end -.-> op-report
"""
    )
    assert [node["name"] for node in json.loads(rendered(as_json, chosen=chosen))["nodes"]] == ["report", "scraping.end"]
    assert "fetch" not in rendered(dot, chosen=chosen)


def test_every_picture_ends_with_one_newline():
    for render in (mermaid, dot, as_json):
        text = rendered(render, {})
        assert text.endswith("\n")
        assert not text.endswith("\n\n")
