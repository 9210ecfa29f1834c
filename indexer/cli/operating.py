"""`sightline migrate`: what is run once before the other processes of a deployment start."""

import typer

from indexer.catalog import connection
from indexer.cli.workspace import remarks
from indexer.local_stack import endpoints
from indexer.settings import get_settings


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(migrate)


def migrate() -> None:
    """Bring the catalogue's schema to this version's, and end; running it again changes nothing.

    Every other command does so too when it starts. Where many processes start at once, run this first.
    """
    connection.migrate(endpoints(get_settings()).postgres_url)
    remarks.print("The catalogue's schema is this version's.")
