"""Alembic migrations of an archive's database."""
