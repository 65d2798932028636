"""Options that take several values at once, ``--k 64 128 256``, or perhaps none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

from typer.core import TyperCommand


class VariadicCommand(TyperCommand):
    """A command whose list options take all words up to the next option.

    ``--k 64 128``, ``--k 64,128`` and ``--k 64 --k 128`` are the same. For commands without
    arguments: every word that is not an option belongs to the option before it. Use it as
    ``app.command("name", cls=VariadicCommand)``.

    Attributes
    ----------
    implied : mapping of str to str
        Of options that may stand without a value: the value they then have. Subclasses set it.
    """

    implied: ClassVar[Mapping[str, str]] = {}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the name of a list option before each of its values; then parse as usual."""
        lists = {
            name
            for param in self.get_params(ctx)
            if getattr(param, "multiple", False)
            for name in param.opts
        }
        words = repeat_names(list(imply_values(args, self.implied)), lists)
        return super().parse_args(ctx, list(words))


def repeat_names(words: Sequence[str], lists: set[str]) -> Iterator[str]:
    """The words of a command line with one value for each mention of a list option.

    Parameters
    ----------
    words : sequence of str
    lists : set of str
        Names of the options that take several values.

    Yields
    ------
    str

    Examples
    --------
    >>> list(repeat_names(["--k", "64", "128,256", "--seed", "1"], {"--k"}))
    ['--k', '64', '--k', '128', '--k', '256', '--seed', '1']
    """
    option = ""  # the list option whose values may still come
    valueless = False
    for word in words:
        name, equals, rest = word.partition("=")
        if name in lists:
            if valueless:
                yield option
            option, valueless = name, not equals
            values = rest if equals else ""
        elif not option or (word.startswith("-") and not _is_number(word.split(",")[0])):
            if valueless:
                yield option
            option, valueless = "", False
            yield word
            continue
        else:
            values, valueless = word, False
        for value in filter(None, values.split(",")):
            yield option
            yield value
    if valueless:
        yield option  # without a value: the parser says so


def imply_values(words: Sequence[str], implied: Mapping[str, str]) -> Iterator[str]:
    """The words of a command line, with a value after each option that stands without one.

    Parameters
    ----------
    words : sequence of str
    implied : mapping of str to str
        The value of each option that needs none.

    Yields
    ------
    str

    Examples
    --------
    >>> list(imply_values(["--bias", "--seed", "1"], {"--bias": "full"}))
    ['--bias', 'full', '--seed', '1']
    >>> list(imply_values(["--bias", "none"], {"--bias": "full"}))
    ['--bias', 'none']
    """
    for word, following in pairwise([*words, "--"]):
        yield word
        if word in implied and following.startswith("-"):
            yield implied[word]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
