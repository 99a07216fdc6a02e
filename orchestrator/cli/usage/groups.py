"""A group of commands that answers a slip of the pen with what was meant."""

import click

from orchestrator.errors import choices


class Suggesting(click.Group):
    """As click's; of a command that is not there it says which one is near, and all that there are."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's. Raises click's UsageError."""
        name = args[0]
        if not ctx.resilient_parsing and not name.startswith("-") and self.get_command(ctx, name) is None:
            ctx.fail(f"no such command {name!r}. {choices(name, self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)
