"""Options of commands that are declared once: those of filters, and fields of dataclasses."""

from __future__ import annotations

import functools
from dataclasses import is_dataclass
from datetime import datetime
from inspect import Parameter, Signature, signature
from typing import Annotated, Any

import typer

from emotion_search.engine.commands.common import MetaOption, TaskOption, moment, pairs
from emotion_search.index.database.filters import FIELDS, ClipFilter, FilterField, Texts


def clip_filter(**given: Any) -> ClipFilter:
    """The filter that options make; a parameter of a command that is one has them.

    Raises:
        InvalidInputError: a time or a pair that is none; see also ``ClipFilter``.
    """
    times = {name: moment(f"--{name}", given.pop(name, None)) for name in ("after", "before")}
    metadata = pairs(given.pop("meta", None))
    set_ones = {name: value for name, value in given.items() if value not in (None, "")}
    return ClipFilter.of(**times, metadata=metadata, **set_ones)


def _option(one: FilterField) -> Parameter:
    name, kind, text, metavar = one.name, one.type, one.about.text, None
    if name == "task":
        kind = TaskOption
    elif name == "metadata":
        name, kind = "meta", MetaOption
    else:
        if kind == Texts:
            kind, text = list[str] | None, f"{text.removesuffix('.')}; repeatable."
            metavar = "NAME:3" if name == "cluster" else None
        elif kind == datetime | None:
            kind, metavar = str | None, "TIME"
        kind = Annotated[kind, typer.Option(help=text, metavar=metavar)]
    default = {"task": "", "min_probability": 0.0}.get(name)
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=kind)


clip_filter.__signature__ = Signature([_option(one) for one in FIELDS])  # type: ignore[attr-defined]


def with_options(command: Any) -> Any:
    """A command with options in place of each parameter that is a dataclass, whose fields they are,
    or a filter, that of ``clip_filter``.

    An option that the command declares itself, such as ``--task``, is passed to both.
    """
    filters = {"ClipFilter": clip_filter}
    own = signature(command, eval_str=True, locals=filters).parameters
    makers: dict[str, Any] = {
        one.name: one.annotation
        for one in own.values()
        if is_dataclass(one.annotation) or one.annotation is clip_filter
    }
    if not makers:
        return command
    options = {
        name: signature(maker, eval_str=True, locals=filters).parameters
        for name, maker in makers.items()
    }
    parameters: dict[str, Parameter] = {}
    for one in own.values():
        for option in options.get(one.name, {one.name: one}).values():
            if option.name not in own or option is one:
                parameters[option.name] = option.replace(kind=Parameter.KEYWORD_ONLY)

    @functools.wraps(command)
    def run(**given: Any) -> None:
        made = {
            name: maker(**{option: given[option] for option in options[name]})
            for name, maker in makers.items()
        }
        command(**{name: given[name] for name in own if name not in makers}, **made)

    run.__signature__ = Signature([*parameters.values()])  # type: ignore[attr-defined]
    run.__annotations__ = {name: one.annotation for name, one in parameters.items()}
    return run
