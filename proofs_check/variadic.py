"""Options that take several values at once: ``--k 64 128 256``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from typer.core import TyperCommand


class VariadicCommand(TyperCommand):
    """A command whose list options take all words up to the next option.

    ``--k 64 128``, ``--k 64,128`` and ``--k 64 --k 128`` are the same. For commands without
    arguments: every word that is not an option belongs to the option before it. Use it as
    ``app.command("name", cls=VariadicCommand)``.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the name of a list option before each of its values; then parse as usual."""
        lists = {
            name
            for param in self.get_params(ctx)
            if getattr(param, "multiple", False)
            for name in param.opts
        }
        return super().parse_args(ctx, list(repeat_names(args, lists)))


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


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
