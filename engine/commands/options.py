"""Options of commands that are declared once: those of filters, and fields of dataclasses."""

from __future__ import annotations

import functools
from dataclasses import is_dataclass
from inspect import Parameter, Signature, signature
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emotion_search.engine.commands.common import MetaOption, TaskOption, moment, pairs

if TYPE_CHECKING:
    from emotion_search.index.database.filters import ClipFilter


def clip_filter(
    source: Annotated[list[str] | None, typer.Option(help="Only from here; repeatable.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="Only with this label; repeatable.")
    ] = None,
    task: TaskOption = "",
    emotion: Annotated[
        list[str] | None, typer.Option(help="Only where the model scores this highest; repeatable.")
    ] = None,
    min_score: Annotated[
        float | None, typer.Option(help="Least score of the class scored highest, 0 to 1.")
    ] = None,
    min_arousal: Annotated[
        float | None, typer.Option(help="Least arousal, -1 to 1, the model's own or derived.")
    ] = None,
    max_arousal: Annotated[float | None, typer.Option(help="Most arousal.")] = None,
    min_valence: Annotated[
        float | None, typer.Option(help="Least valence, -1 to 1, the model's own or derived.")
    ] = None,
    max_valence: Annotated[float | None, typer.Option(help="Most valence.")] = None,
    speaker: Annotated[list[str] | None, typer.Option(help="Only this speaker.")] = None,
    channel: Annotated[
        list[str] | None, typer.Option(help="Only this channel, by name or number; repeatable.")
    ] = None,
    after: Annotated[
        str | None, typer.Option(metavar="TIME", help="Recorded then or later, ISO 8601.")
    ] = None,
    before: Annotated[
        str | None, typer.Option(metavar="TIME", help="Recorded before then, ISO 8601.")
    ] = None,
    min_duration: Annotated[float | None, typer.Option(help="Shortest clip, in seconds.")] = None,
    max_duration: Annotated[float | None, typer.Option(help="Longest clip, in seconds.")] = None,
    meta: MetaOption = None,
    predicted: Annotated[
        list[str] | None, typer.Option(help="Only what a classifier predicts as this; repeatable.")
    ] = None,
    min_probability: Annotated[
        float, typer.Option(help="Least probability of what it predicts, 0 to 1.")
    ] = 0.0,
    cluster: Annotated[
        list[str] | None, typer.Option(metavar="NAME:3", help="Only from this cluster; repeatable.")
    ] = None,
) -> ClipFilter:
    """The filter that these options make; a parameter of a command that is one has them.

    Raises:
        InvalidInputError: a time or a pair that is none; see also ``ClipFilter``.
    """
    given = {name: value for name, value in locals().items() if value not in (None, "")}
    from emotion_search.index.database.filters import ClipFilter

    given |= {"after": moment("--after", after), "before": moment("--before", before)}
    given["metadata"] = pairs(given.pop("meta", None))
    return ClipFilter.of(**given)


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
