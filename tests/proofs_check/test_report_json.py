"""Reports as JSON: the published schema, and the way back."""

import json
import math
from dataclasses import fields

import pytest
from jsonschema import Draft202012Validator

from lsq_sketch.versions import versions
from proofs_check.claim import Kind, registry
from proofs_check.finding import Certainty, Evidence, Finding, LeftOut, Verdict
from proofs_check.profile import PROFILES
from proofs_check.report import (
    ReportFileError,
    as_dict,
    as_html,
    as_markdown,
    read_json,
    schema,
    schema_text,
    write_json,
)
from proofs_check.run import run
from tests.proofs_check.reports import every_claim, everything


def made():
    """A report of a real run, with something left out."""
    claims = [registry()[name] for name in ("one-hot-exact", "excess-identity", "kmeanspp")]
    return run(claims, ["diabetes", "planted-exact"], seed=3)


def test_the_schema_is_one():
    Draft202012Validator.check_schema(schema())
    assert json.loads(schema_text()) == schema()


@pytest.mark.parametrize("make", [made, every_claim, everything])
def test_reports_follow_the_schema(make):
    document = json.loads(json.dumps(as_dict(make()), allow_nan=False))
    assert [e.message for e in Draft202012Validator(schema()).iter_errors(document)] == []


def test_the_schema_tells_every_field_and_value():
    """So that nothing is added to a report without being published."""
    defined = schema()["$defs"]
    for name, kind in (("finding", Finding), ("left_out", LeftOut)):
        told = {field.name for field in fields(kind)}
        assert set(defined[name]["properties"]) == told
        assert set(defined[name]["required"]) == told
    assert set(schema()["properties"]) == set(schema()["required"]) == set(as_dict(every_claim()))
    found = defined["finding"]["properties"]
    assert found["kind"]["enum"] == list(Kind)
    assert found["verdict"]["enum"] == list(Verdict)
    assert found["certainty"]["enum"] == list(Certainty)
    assert defined["evidence"]["enum"] == list(Evidence)
    assert schema()["properties"]["profile"]["enum"] == list(PROFILES)


def test_versions_are_told_but_no_time_and_no_machine(tmp_path):
    write_json(made(), tmp_path / "a.json")
    write_json(made(), tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["versions"] == versions()
    assert document["versions"].keys() >= {"python", "numpy", "scipy", "numba", "lsq-sketch"}
    assert str(tmp_path) not in json.dumps(document)


@pytest.mark.parametrize("make", [made, every_claim, everything])
def test_there_and_back(make, tmp_path):
    report = make()
    write_json(report, tmp_path / "a.json")
    back = read_json(tmp_path / "a.json")
    write_json(back, tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert as_html(back) == as_html(report)
    assert as_markdown(back) == as_markdown(report)
    assert back.exit_status == report.exit_status
    for f, g in zip(back.findings, report.findings, strict=True):
        assert f == g or (math.isnan(f.mean) and math.isnan(g.mean))
    assert back.left_out == report.left_out


def test_a_saved_report_keeps_the_versions_that_made_it(tmp_path):
    document = as_dict(every_claim())
    document["versions"]["numpy"] = "1.99"
    document["unavailable"] = {"movielens": "needs something"}
    (tmp_path / "r.json").write_text(json.dumps(document))
    saved = read_json(tmp_path / "r.json")
    assert "numpy 1.99" in as_html(saved)
    assert "numpy 1.99" in as_markdown(saved)
    assert "needs something" in as_html(saved)
    assert as_dict(saved)["versions"]["numpy"] == "1.99"


def changed(change):
    document = json.loads(json.dumps(as_dict(every_claim())))
    change(document)
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "not a report: it has no schema_version. Write one with proofs-check run --json"),
        (changed(lambda d: d.update(schema_version=2)), "of schema version 2; expected 1"),
        (changed(lambda d: d.pop("seed")), r"at \$: 'seed' is a required property"),
        (changed(lambda d: d.update(seed="x")), r"at \$.seed: 'x' is not of type 'integer'"),
        (
            changed(lambda d: d["findings"][2].update(verdict="true")),
            r"at \$.findings\[2\].verdict: 'true' is not one of",
        ),
        (
            changed(lambda d: d["findings"][0].update(extra=1)),
            r"\$.findings\[0\]: Additional properties are not allowed \('extra' was unexpected\)",
        ),
        (
            changed(lambda d: d["findings"][0].update(claim="flat-earth")),
            "a claim that this version does not know: flat-earth",
        ),
    ],
)
def test_what_is_not_a_report_is_refused(text, message, tmp_path):
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(ReportFileError, match=message) as error:
        read_json(tmp_path / "r.json")
    assert str(error.value).startswith(f"{tmp_path / 'r.json'}: ")
    assert "\n" not in str(error.value)


def test_no_file(tmp_path):
    with pytest.raises(ReportFileError, match=r"gone.json: no such file"):
        read_json(tmp_path / "gone.json")
    with pytest.raises(ReportFileError, match="could not be read"):
        read_json(tmp_path)
