"""The command line program: its commands, in groups, and how its errors end."""

from __future__ import annotations

import gc
import inspect
import io
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from emotion_search.engine.commands.combinations import check_combinations
from emotion_search.engine.commands.common import damage_behind, importing, say_error, until_end
from emotion_search.engine.commands.options import clip_filter, with_options
from emotion_search.engine.commands.show.terminal import plain_streams
from emotion_search.engine.machine.threads import one_thread_each
from emotion_search.index.errors import DOUBTFUL, EmotionSearchError, InvalidInputError

_UsageError: Any = typer.BadParameter.__base__  # of typer's own copy of Click

COMMANDS: dict[str, dict[str, str]] = {
    "Archive": {
        "ingest": "ingest.ingest",
        "status": "status.status",
        "list": "listing.list_archive",
        "show": "clip.show",
        "play": "clip.play",
        "extract": "clip.extract",
        "open": "clip.open_page",
        "failures": "curate.failures",
        "locations": "places.locations",
        "relocate": "places.relocate",
        "forget": "curate.forget",
        "export": "transfer.export",
        "import": "transfer.import_embeddings",
        "copy": "database.copy",
        "backup": "backup.backup",
        "restore": "backup.restore",
        "migrate": "database.migrate",
        "config": "config.config_app",
        "check": "check.check",
        "index": "index.index_app",
    },
    "Search": {
        "search": "search.search",
        "evaluate": "evaluate.evaluate",
        "tune": "evaluate.tune",
        "demo": "demo.demo",
    },
    "Understand": {
        "predict": "predict.predict",
        "compare": "compare.compare",
        "trend": "trend.trend",
        "cluster": "clusters.cluster",
        "map": "clusters.map",
        "embed": "embed.embed",
    },
    "Learn": {
        "label": "curate.label",
        "suggest": "classifiers.suggest",
        "train": "classifiers.train",
        "classify": "classifiers.classify",
        "classifiers": "classifiers.classifiers",
    },
    "Serve": {"serve": "serve.serve", "key": "serve.key_app", "jobs": "jobs.jobs_app"},
    "Models": {
        "finetune": "finetune.finetune",
        "reembed": "reembed.reembed",
        "use": "reembed.use",
        "models": "models.models_app",
    },
}
"""Commands by the group that they stand in under ``--help``: where each is in ``engine.commands``,
imported when it is called."""

SETTINGS = frozenset({"home", "database", "model", "device"})
"""Parameters of commands that are settings."""

_SHARED = SETTINGS | {"as_json", "help"}
_TYPES = {"str": "TEXT", "int": "N", "float": "NUMBER", "Path": "FILE", "path": "FILE"}


class LazyCommands(Mapping[str, Any]):
    """The commands by name, each made when it is asked for."""

    def __init__(self) -> None:
        self._places = {k: place for group in COMMANDS.values() for k, place in group.items()}

    def __getitem__(self, name: str) -> Any:
        module, function = self._places[name].split(".")
        alone = typer.Typer(rich_markup_mode=None, add_completion=False)
        with importing():
            command = getattr(import_module(f"emotion_search.engine.commands.{module}"), function)
            if isinstance(command, typer.Typer):  # commands of its own
                for one in command.registered_commands:
                    one.cls, one.callback = Checked, with_options(one.callback)
                if (own := command.registered_callback) is not None:
                    own.callback = with_options(own.callback)
                alone.add_typer(command, name=name)
                return typer.main.get_group(alone).commands[name]
            alone.command(name, cls=Checked)(with_options(command))
            return typer.main.get_command(alone)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class Checked(TyperCommand):
    """A command whose options are not empty texts, but for settings: empty, these count as not
    set."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Refuse empty texts before any becomes a path, that of the working folder."""
        settings = {name for one in self.params if one.name in SETTINGS for name in one.opts}
        options = {f"{name}=": name for one in self.params for name in one.opts}
        for before, text in pairwise(["", *map(str.strip, args)]):
            name = options.get(text, before if before.startswith("-") else "an argument")
            if (not text or text in options) and name not in settings:
                raise InvalidInputError(f"{name} is empty")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run it, unless an option would have no effect."""
        given, there = {}, {}
        for option in self.params:
            name = option.name.upper() if option.param_type_name == "argument" else option.opts[0]
            value = ctx.params.get(option.name)
            if value:
                there[name] = value
            source = ctx.get_parameter_source(option.name)
            if source is not None and source.name == "COMMANDLINE" and value not in (None, ""):
                given[name] = value
        check_combinations(str(self.name), given, there)
        return super().invoke(ctx)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, options, filters, and options that most commands have, in this order."""
        filters = inspect.signature(clip_filter).parameters if self._is_filtered else {}
        sections: dict[str, list[tuple[str, str]]] = {}
        for one in self.get_params(ctx):
            row = one.get_help_record(ctx)
            if row is not None:
                title = "Archive and output" if one.name in _SHARED else "Options"
                title = "Filters" if one.name in filters else title
                title = "Arguments" if one.param_type_name == "argument" else title
                types = re.sub(r"<(?:list\[)?(\w+)[^>]*>", lambda t: _TYPES.get(t[1], t[0]), row[0])
                about = (
                    row[1]
                    .replace(f"1<=x<={2**63 - 1}", "")
                    .replace("[; ", "[")
                    .replace("[]", "")
                    .rstrip()
                )
                sections.setdefault(title, []).append((types, about))
        for title in ("Arguments", "Options", "Filters", "Archive and output"):
            if title in sections:
                with formatter.section(title):
                    formatter.write_dl(sections[title])

    @property
    def _is_filtered(self) -> bool:
        return any(one.name == "min_probability" for one in self.params)


class Grouped(TyperGroup):
    """A program whose ``--help`` lists commands under the titles of their groups."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = LazyCommands()  # type: ignore[assignment]

    def invoke(self, ctx: Any) -> Any:
        """Run the command that is asked for; Ctrl-C ends it with a line and exit code 130."""
        try:
            with ExitStack() as stack:
                until_end.set(stack)
                return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            say_error("interrupted; what is not whole is not kept")
            raise typer.Exit(130) from stop
        except DOUBTFUL as error:
            if (damage := damage_behind(error)) is None:
                raise
            raise damage from error

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names."""
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, a section for each group."""
        for title, commands in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, _summary(place)) for name, place in commands.items()])


def _summary(place: str) -> str:
    """The first paragraph of a command's help, read off its source: to import all of them takes
    seconds."""
    module, name = place.split(".")
    source = (
        Path(__file__).with_name("engine").joinpath("commands", f"{module}.py").read_text("utf-8")
    )
    docstring = source.partition(f"\ndef {name}(")[2].partition('"""')[2]
    about = docstring or source.partition(f"\n{name} = typer.Typer(")[2].partition('help="')[2]
    return about.partition('"')[0].partition("\n\n")[0]


app = typer.Typer(
    name="emotion-search",
    cls=Grouped,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib import metadata

        print(f"emotion-search {metadata.version('emotion-search')}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Search archives of speech by the emotion in the voice.

    Files and folders that exist are replaced only with --overwrite.

    \b
    Exit codes:
      0    done
      1    could not be done here: no such id, name or file; a target that is
           there already or cannot be written; nothing found that is needed
      2    makes no sense anywhere: an unknown option, a value that cannot be
           read, options that contradict each other or would have no effect
      3    an alert of trend is set off
      130  interrupted by Ctrl-C
    """


def main() -> None:
    """Run the program; errors become one line and an exit code."""
    one_thread_each()
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who called
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot show is escaped
            stream.reconfigure(errors="backslashreplace")
    with plain_streams():
        sys.exit(_run())


def _run() -> int:
    """Run the command that is asked for; its exit code."""
    logging.basicConfig(format="notice: %(message)s", level=logging.WARNING, stream=sys.stderr)
    try:
        return app(prog_name="emotion-search", standalone_mode=False) or 0
    except _UsageError as error:
        if error.ctx is not None and error.message == error.ctx.get_help():
            error.show()  # nothing was asked for
        else:
            path = error.ctx.command_path if error.ctx is not None else "emotion-search"
            say_error(f"{_misuse(error)} (see {path} --help)")
        return 2
    except EmotionSearchError as error:
        say_error(str(error))
        return 2 if type(error) is InvalidInputError else 1  # its subclasses speak of what is there
    except OSError as error:
        named = error.strerror and error.filename
        say_error(f"{error.strerror}: {error.filename}" if named else error.strerror or str(error))
        return 1
    except typer.Abort:
        say_error("aborted")
        return 1
    finally:
        gc.freeze()  # or the interpreter looks through everything once more before it ends


def _misuse(error: Any) -> str:
    """What typer says is wrong; with the value that is no number, and the option that a command
    without arguments may have been meant to have."""
    text: str = error.format_message().rstrip(".")
    if hasattr(error.__cause__, "errors"):  # pydantic's
        given = error.__cause__.errors()[0]["input"]
        return text.replace("Input should", f"{given} should").partition(", unable to")[0]
    params = [] if error.ctx is None else error.ctx.command.params
    if "unexpected extra" in text and all(one.param_type_name == "option" for one in params):
        own = [one for one in params if one.name not in _SHARED and not one.is_flag]
        if own and own[0].name != "task":
            filters = inspect.signature(clip_filter).parameters
            own = [one for one in own if one.name not in filters]
        if own:
            return f"{text}; did you mean {own[0].opts[0]}?"
    return text


if __name__ == "__main__":
    main()
