"""Alembic environment: migrates the connection it is handed, or the archive of the settings."""

from alembic import context
from sqlalchemy import Connection

from emotion_search.index.database.schema import Base


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:  # `alembic revision --autogenerate` and friends, by hand
    from sqlalchemy import create_engine

    from emotion_search.engine.settings import load_settings
    from emotion_search.index.database.connection import Database

    with create_engine(Database(load_settings().database).url).begin() as opened:
        run(opened)
