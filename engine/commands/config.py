"""The settings in force and where each comes from: ``config show``."""

from __future__ import annotations

import typer

from emotion_search.engine.commands.common import ArchiveOptions, JsonOption, print_json

config_app = typer.Typer(
    help="Show the settings in force, and where each comes from.", no_args_is_help=True
)


@config_app.command()
def show(archive: ArchiveOptions, as_json: JsonOption = False) -> None:
    """Show the settings in force, and where each comes from.

    Passwords are left out. Options go before the environment, that before emotion-search.toml in
    the archive's home, that before the same in the working folder or above it, that before the
    user's, that before defaults.

    \b
    emotion-search config show
    emotion-search config show --json
    """
    from emotion_search.engine.archive.database import shown_settings
    from emotion_search.engine.commands.show.tables import PlainTable
    from emotion_search.engine.settings import layers

    settings = archive.settings()
    places = layers(home=archive.home, database_url=archive.database)
    table = PlainTable("setting", "value", "from")
    for name, value in shown_settings(settings).items():
        place = next((place for place, values in places.items() if name in values), "default")
        place = f"EMOTION_SEARCH_{name.upper()}" if place == "environment" else place
        if as_json:
            plain = value if isinstance(value, int | float | None) else str(value)
            print_json({"setting": name, "value": plain, "from": place})
        table.row(name, "" if value is None else str(value), place)
    if not as_json:
        table.print()
        files = ", ".join(place for place in places if place not in ("option", "environment"))
        print(f"read where they exist: {files}")
