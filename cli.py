"""The command line program: its commands, in groups, and how its errors end."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from emotion_search.engine.commands.check import check
from emotion_search.engine.commands.classifiers import classifiers, classify, suggest, train
from emotion_search.engine.commands.clusters import cluster
from emotion_search.engine.commands.clusters import map as draw_map
from emotion_search.engine.commands.common import say_error
from emotion_search.engine.commands.curate import failures, forget, label
from emotion_search.engine.commands.database import copy, migrate
from emotion_search.engine.commands.demo import demo
from emotion_search.engine.commands.embed import embed
from emotion_search.engine.commands.evaluate import evaluate, tune
from emotion_search.engine.commands.finetune import finetune
from emotion_search.engine.commands.index import index_app
from emotion_search.engine.commands.ingest import ingest
from emotion_search.engine.commands.jobs import jobs_app
from emotion_search.engine.commands.models import models_app
from emotion_search.engine.commands.predict import predict
from emotion_search.engine.commands.reembed import reembed, use
from emotion_search.engine.commands.search import search
from emotion_search.engine.commands.serve import key_app, serve
from emotion_search.engine.commands.status import status
from emotion_search.engine.commands.transfer import export, import_embeddings
from emotion_search.engine.commands.trend import trend
from emotion_search.index.errors import EmotionSearchError, InvalidInputError

COMMANDS: dict[str, list[Callable[..., None]]] = {
    "Archive": [ingest, status, failures, forget, export, import_embeddings, copy, migrate, check],
    "Search": [search, evaluate, tune, demo],
    "Understand": [predict, trend, cluster, draw_map, embed],
    "Learn": [label, suggest, train, classify, classifiers],
    "Serve": [serve],
    "Models": [finetune, reembed, use],
}
"""Commands by the group that they stand in under ``--help``."""

COMMAND_GROUPS = {
    "Archive": {"index": index_app},
    "Serve": {"key": key_app, "jobs": jobs_app},
    "Models": {"models": models_app},
}
"""Commands that have commands of their own."""


class Grouped(TyperGroup):
    """A program whose ``--help`` lists commands under the titles of their groups."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, a section for each group."""
        width = formatter.width - 6 - max(map(len, self.commands))
        for title in COMMANDS:
            rows = [
                (name, command.get_short_help_str(width))
                for name, command in self.commands.items()
                if getattr(command, "rich_help_panel", None) == title
            ]
            with formatter.section(title):
                formatter.write_dl(rows)


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
    """Search archives of speech by the emotion in the voice."""


for title, commands in COMMANDS.items():
    for command in commands:
        name = "import" if command is import_embeddings else command.__name__
        app.command(name, rich_help_panel=title)(command)
    for name, group in COMMAND_GROUPS.get(title, {}).items():
        app.add_typer(group, name=name, rich_help_panel=title)


def main() -> None:
    """Run the program; errors of ours become one line and an exit code."""
    logging.basicConfig(format="notice: %(message)s", level=logging.WARNING, stream=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot show is escaped
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except EmotionSearchError as error:
        say_error(" ".join(str(error).split()))
        sys.exit(2 if isinstance(error, InvalidInputError) else 1)
    except OSError as error:
        named = error.strerror and error.filename
        say_error(f"{error.strerror}: {error.filename}" if named else error.strerror or str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
