"""The `lmcma` command: one module per command."""

from __future__ import annotations

import sys

import typer

from lmcma.errors import LmcmaError


def app() -> typer.Typer:
    """The command line application with all its commands."""
    from lmcma.cli import bbob, methods, minimize, plan

    cli = typer.Typer(
        name="lmcma",
        help="Evolution strategies for black-box optimisation, and their comparison on BBOB.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    cli.command("methods")(methods.methods)
    cli.command("minimize")(minimize.minimize)
    cli.command("plan")(plan.plan)
    cli.add_typer(bbob.app, name="bbob")
    return cli


def main() -> None:
    """Run the command line; an error of lmcma is one line on stderr and exit status 2."""
    try:
        app()()
    except LmcmaError as error:
        typer.echo(f"lmcma: {error}", err=True)
        sys.exit(2)
