"""Sources of the documentation site: the pages of this folder, and a reference made from the code.

They go to ``build/docs``; ``zensical build --strict`` makes ``build/site`` of them.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer
from typer.cli import get_docs_for_click

import emotion_search
from emotion_search.cli import COMMANDS, app
from emotion_search.engine.api.app import create_app
from emotion_search.engine.settings import Settings, load_settings

ROOT = Path(__file__).parents[1]
SITE = ROOT / "build" / "docs"
LINK = re.compile(r"(\]\()(?!https?:|mailto:|#)([^)#\s]+)")


def pages() -> dict[Path, str]:
    """Files of the checkout that the site has, and where."""
    found = {
        ROOT / "README.md": "index.md",
        ROOT / "README.zh.md": "index.zh.md",
        ROOT / "docs" / "index.md": "search-index.md",
        ROOT / "LICENSE": "LICENSE.txt",
    }
    found |= {ROOT / name: name.lower() for name in ("CHANGELOG.md", "CONTRIBUTING.md")}
    for path in ROOT.glob("engine/embedders/*/weights/README.md"):
        found[path] = f"weights-{path.parts[-3]}.md"
    for path in (ROOT / "docs").rglob("*.*"):
        if path.suffix != ".py":
            found.setdefault(path, str(path.relative_to(ROOT / "docs")))
    return {path: place for path, place in found.items() if path.exists()}


def linked(text: str, page: Path, places: dict[Path, str]) -> str:
    """The text of a page, its links to files of the checkout turned to their places in the site.

    Raises:
        KeyError: a link leads to no page.
    """

    def turn(link: re.Match[str]) -> str:
        place = places[(page.parent / link[2]).resolve()]
        return link[1] + os.path.relpath(place, Path(places[page]).parent)

    return LINK.sub(turn, text)


def command_line() -> str:
    """Every command with its options and examples, from the program."""
    program: Any = typer.main.get_command(app)
    context = program.make_context("emotion-search", [], resilient_parsing=True)
    about, codes = program.help.split("\n\n\x08\n")
    text = ["# Command line\n", f"{about}\n\n```text\n{codes}\n```\n"]
    for group, commands in COMMANDS.items():
        text.append(f"## {group}\n")
        for name in commands:
            command = program.commands[name]
            for one in (command, *getattr(command, "commands", {}).values()):
                one.help = re.sub(
                    r"\x08\n(.+?)(?=\n\n|\Z)", r"```sh\n\1\n```", one.help, flags=re.S
                )
            text.append(
                get_docs_for_click(
                    obj=command, ctx=context, indent=2, name=name, call_prefix="emotion-search"
                )
            )
    return re.sub(r"^\* `-h, --help`.*\n", "", "\n".join(text), flags=re.M)


def settings_table() -> str:
    """Every setting: variable, option, default, what it sets; from the class."""
    options = {
        option.name: option.opts[0]
        for group in COMMANDS.values()
        for name in group
        for option in _commands()[name].params
        if option.opts[0].startswith("--")
    }
    renamed = {"database_url": "database", "allowed_hosts": "allowed_host"}
    rows = [
        "# Settings\n",
        "Options go before the environment, that before [files](../configuration.md),"
        " those before defaults. Values that are empty count as not set.\n",
        "| variable | option | default | what it sets |",
        "|---|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        variable = f"`EMOTION_SEARCH_{name.upper()}`"
        option = options.get(renamed.get(name, name))
        default = "" if field.default_factory or field.default in (None, "") else field.default
        cells = [f"`{cell}`" if cell else "" for cell in (option, str(default))]
        about = field.description or ""
        if get_origin(field.annotation) is Literal and "`" not in about:
            about += " One of " + ", ".join(f"`{one}`" for one in get_args(field.annotation)) + "."
        rows.append(f"| {variable} | {cells[0]} | {cells[1]} | {about} |")
    return "\n".join(rows) + "\n"


def _commands() -> Any:
    program: Any = typer.main.get_command(app)
    return program.commands


def http() -> str:
    """Every route with its parameters, and every body, from the OpenAPI document."""
    document = create_app(load_settings(home=SITE)).openapi()
    text = ["# HTTP\n", document["info"]["description"]]
    for tag in document["tags"]:
        text += [f"## {tag['name'].capitalize()}\n", tag["description"] + "\n"]
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation["tags"]:
                    text += _operation(f"{method.upper()} {path}", operation)
    text.append("## Bodies\n")
    for name, schema in sorted(document["components"]["schemas"].items()):
        text += [f"### {name}\n", schema.get("description", "") + "\n"]
        text += _table(schema.get("properties", {}).items(), set(schema.get("required", [])))
    return "\n".join(text)


def _operation(title: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"### `{title}`\n\n**{operation['summary']}.** {operation['description']}\n"
    parameters = operation.get("parameters", [])
    yield from _table(
        ((one["name"], {**one["schema"], "in": one["in"]}) for one in parameters),
        {one["name"] for one in parameters if one.get("required")},
    )
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        yield f"Takes `{kind}`: {_type(body['schema'])}\n"
    for status, answer in operation["responses"].items():
        for kind, body in answer.get("content", {}).items():
            yield f"Answers {status}, `{kind}`: {_type(body['schema'])}\n"
    problems = [status for status, answer in operation["responses"].items() if "$ref" in answer]
    if problems:
        yield f"Problems: {', '.join(problems)}\n"


def _table(fields: Any, required: set[str]) -> Iterator[str]:
    rows = [
        f"| `{name}`{' (needed)' if name in required else ''} | {_type(schema)} |"
        f" {' '.join(schema.get('description', '').split()).replace('|', chr(92) + '|')} |"
        for name, schema in fields
    ]
    if rows:
        yield "\n".join(["| field | type | |", "|---|---|---|", *rows]) + "\n"


def _type(schema: dict[str, Any]) -> str:
    """A schema in a word or two: `integer`, `list of string`, a link to a body."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if either := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(_type(one) for one in either))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return schema.get("type", "any")


def python() -> str:
    """The public names, whose docstrings are taken in when the site is built."""
    names = "\n\n".join(f"::: emotion_search.{name}" for name in emotion_search.__all__)
    return f"# Python\n\n{emotion_search.__doc__}\n{names}\n"


def unlisted(places: Iterable[str]) -> set[str]:
    """Pages that the navigation lacks, and those that it names and the site has not."""
    named = re.findall(r'"([\w./-]+\.md)"', (ROOT / "zensical.toml").read_text())
    return {place for place in places if place.endswith(".md")} ^ set(named)


def main() -> None:
    """Write all sources anew.

    Raises:
        SystemExit: a page is missing, here or in the navigation.
    """
    shutil.rmtree(SITE, ignore_errors=True)
    places = pages()
    for page, place in places.items():
        (SITE / place).parent.mkdir(parents=True, exist_ok=True)
        if page.suffix == ".md":
            text = linked(page.read_text(encoding="utf-8"), page, places)
            (SITE / place).write_text(text, encoding="utf-8")
        else:
            shutil.copyfile(page, SITE / place)
    reference = {"cli": command_line, "settings": settings_table, "http": http, "python": python}
    if wrong := unlisted([*places.values(), *(f"reference/{name}.md" for name in reference)]):
        raise SystemExit(f"in zensical.toml or in docs/, not in both: {', '.join(sorted(wrong))}")
    (SITE / "reference").mkdir()
    for name, make in reference.items():
        (SITE / "reference" / f"{name}.md").write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
