"""Every example in a docstring runs and prints what it says."""

import doctest
import importlib
import io
import pkgutil

import pytest

import lsq_sketch

PACKAGES = ["lsq_sketch", "proofs_check"]
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def modules():
    """All modules of the packages, but those that run when imported."""
    names = []
    for package in PACKAGES:
        path = importlib.import_module(package).__path__
        found = [module.name for module in pkgutil.walk_packages(path, prefix=f"{package}.")]
        names += [package, *found]
    return [name for name in names if not name.endswith("__main__")]


def doctests(name):
    return doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name), name)


@pytest.mark.parametrize("name", modules())
def test_examples(name):
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    report = io.StringIO()
    for test in doctests(name):
        runner.run(test, out=report.write)
    assert runner.failures == 0, report.getvalue()
    assert runner.tries == sum(len(test.examples) for test in doctests(name))


def test_there_are_examples():
    """So that a finder that finds nothing, or a package that lost its examples, is noticed."""
    counts = {
        package: sum(
            len(test.examples)
            for name in modules()
            if name.split(".")[0] == package
            for test in doctests(name)
        )
        for package in PACKAGES
    }
    assert counts["lsq_sketch"] >= 60
    assert counts["proofs_check"] >= 15


def test_public_functions_have_examples():
    """Every name a user can import, but errors and results that only functions make."""
    lacking = []
    for public_name in lsq_sketch.__all__:
        value = getattr(lsq_sketch, public_name)
        result = "__dataclass_fields__" in vars(value)
        if result or (isinstance(value, type) and issubclass(value, Exception)):
            continue
        tests = doctest.DocTestFinder(recurse=False).find(value)
        if not any(test.examples for test in tests):
            lacking.append(public_name)
    assert lacking == []
