"""``gitvirt completion``: the script that completes commands, options and names in a shell."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from reconciler.cli.invocation import examples


class Shell(StrEnum):
    """Shells that there are scripts for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "gitvirt completion bash > /etc/bash_completion.d/gitvirt",
            "gitvirt completion zsh > /usr/local/share/zsh/site-functions/_gitvirt",
            "gitvirt completion fish > ~/.config/fish/completions/gitvirt.fish",
        )
    )(completion)


def completion(shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")]) -> None:
    """Print the completion script of a shell, VM names included."""
    from typer.main import get_command

    from reconciler.cli.app import build_app
    from reconciler.cli.command_table import command_table
    from reconciler.cli.completion_scripts import script_of

    typer.echo(script_of(str(shell), command_table(get_command(build_app()))), nl=False)
