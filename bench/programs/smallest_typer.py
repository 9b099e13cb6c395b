"""The smallest typer app that prints its version."""

import typer


def main() -> None:
    """Print the version."""
    typer.echo("1.0")


typer.run(main)
