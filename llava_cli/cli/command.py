# SPDX-License-Identifier: Apache-2.0
"""What all commands have in common: help, defaults of the user's own, and failures that are records where asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from llava_cli.cli import help
from llava_cli.cli.grouping import expand_groups
from llava_cli.cli.help import long_name
from llava_cli.cli.mistakes import no_such_command, told
from llava_cli.cli.options import CONFIGURABLE_GROUPS, NOT_CONFIGURABLE, STDOUT
from llava_cli.config import check_variables, read_config, variable
from llava_cli.errors import ExitCode, LlavaError, OutputError, write_failure
from llava_cli.media.worker.process import start_ahead

HELP = ("-h", "--help")
_EVERYTHING = "llava.help.everything"
_JSON = "--json"
_BadUsage: Any = typer.BadParameter.__base__
"""What the library raises for any command line that makes no sense. It exports only the subclass."""


class _Shared:
    """What commands and groups of commands have in common. Every shared option can be set by the configuration file
    and by a variable."""

    def __init__(self: Any, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        for key, option in configurable(self).items():
            option.envvar = variable(key)
            option.show_envvar = False

    def parse_args(self: Any, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[_EVERYTHING] = "--help" in args
        options = args[: args.index("--")] if "--" in args else list(args)
        with _failures_recorded(_json_option(self) is not None and _JSON in options):
            own = configurable(self)
            if own and not ctx.resilient_parsing and set(options).isdisjoint(HELP):
                known = all_configurable(ctx.find_root().command)
                check_variables(known)
                values = read_config(known)
                ctx.default_map = {option.name: values[key] for key, option in own.items() if key in values}
            try:
                return list(super().parse_args(ctx, args))  # type: ignore[misc]
            except _BadUsage as error:
                if type(error).__name__ == "NoArgsIsHelpError":  # a group without a command
                    typer.echo(ctx.get_help(), err=True)
                    raise typer.Exit(ExitCode.USAGE) from error
                raise told(ctx, error) from error
            except BrokenPipeError:
                raise
            except OSError as error:  # of options that write something at once: completions
                raise write_failure(error.filename or "stdout", error) from error

    def invoke(self: Any, ctx: Any) -> Any:
        option = _json_option(self)
        file = ctx.params.get("output") if "append" in ctx.params else None
        wanted = file == STDOUT or (option is not None and ctx.params[option.name])
        with _failures_recorded(wanted, None if file == STDOUT else file, ctx.params.get("append", False)):
            return super().invoke(ctx)  # type: ignore[misc]

    def get_help_option(self: Any, ctx: Any) -> Any:
        option = super().get_help_option(ctx)  # type: ignore[misc]
        option.help = "Show a summary (-h) or everything (--help), and exit."
        option.callback = _show_help
        return option

    def get_help(self: Any, ctx: Any) -> str:
        page = help.reference if ctx.meta.get(_EVERYTHING) else help.summary
        return page(self, ctx, help.columns())

    def get_usage(self: Any, ctx: Any) -> str:
        return help.usage(self, ctx, help.columns())


class Command(_Shared, TyperCommand):
    """A command."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return ["[OPTIONS]", *(str(param.metavar) for param in self.params if param.param_type_name == "argument")]


class Group(_Shared, TyperGroup):
    """A command that has commands of its own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if (
            args
            and not ctx.resilient_parsing
            and set(args).isdisjoint(HELP)
            and _reads_media(self.commands.get(args[0]))
        ):
            start_ahead()  # meanwhile the library reads the command line, which takes a tenth of a second
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] not in self.commands and not ctx.resilient_parsing:
            raise no_such_command(ctx.command_path, list(self.commands), args)
        return super().resolve_command(ctx, args)


class CommandWithOthers(Group):
    """A command with an argument that has commands of its own: the first word decides which is meant."""

    allow_extra_args = False
    allow_interspersed_args = True

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args[:1] and args[0] in self.commands:
            ctx._protected_args, ctx.args = args[:1], args[1:]
            return list(ctx.args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        if not ctx._protected_args:
            return super().invoke(ctx)
        with ctx:
            name, command, args = self.resolve_command(ctx, [*ctx._protected_args, *ctx.args])
            ctx.invoked_subcommand = name
            # Below the program and not below this command, whose argument is not theirs.
            with command.make_context(f"{ctx.info_name} {name}", args, parent=ctx.parent) as below:
                return below.command.invoke(below)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return ["[OPTIONS]", *(str(param.metavar) for param in self.params if param.param_type_name == "argument")]


class App(typer.Typer):
    """A Typer app whose commands are these, and may take options in groups."""

    def __init__(self, **settings: Any) -> None:
        shared = {"cls": Group, "rich_markup_mode": None, "context_settings": {"help_option_names": list(HELP)}}
        super().__init__(**(shared | settings))

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Any], Any]:
        register = super().command(name, **({"cls": Command} | settings))
        return lambda function: register(expand_groups(function))

    def callback(self, **settings: Any) -> Callable[[Any], Any]:
        register = super().callback(**settings)
        return lambda function: register(expand_groups(function))


def _reads_media(command: Any) -> bool:
    """Whether a command decodes files: it has limits for them."""
    return command is not None and any("--max-memory" in option.opts for option in command.params)


def configurable(command: Any) -> dict[str, Any]:
    """The options of a command that the user's configuration may set, by key: the long name without its dashes."""
    return {
        long_name(option).removeprefix("--"): option
        for option in command.params
        if getattr(option, "rich_help_panel", None) in CONFIGURABLE_GROUPS and long_name(option) not in NOT_CONFIGURABLE
    }


def all_configurable(root: Any) -> dict[str, Any]:
    """The same of all commands together."""
    found: dict[str, Any] = {}
    for _, command in walk(root):
        found = configurable(command) | found
    return found


def walk(command: Any, name: str = "llava") -> Iterator[tuple[str, Any]]:
    """A command and all below it, each with its full name."""
    yield name, command
    for child, below in getattr(command, "commands", {}).items():
        if not below.hidden:
            yield from walk(below, f"{name} {child}")


def _show_help(ctx: Any, option: Any, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from llava_cli.output import say

        say(ctx.get_help())
        ctx.exit()


@contextmanager
def _failures_recorded(wanted: bool, file: Path | None = None, append: bool = False) -> Iterator[None]:
    """Print the record of a failure that ends the command, if `wanted`, or write it to `file`; nobody may have yet."""
    try:
        yield
    except LlavaError as error:
        if (wanted or file is not None) and not error.recorded:
            _keep_record(error, file, append)
            error.recorded = True
        raise


def _keep_record(error: LlavaError, file: Path | None, append: bool) -> None:
    from llava_cli.cli.recording import check_file, keep
    from llava_cli.output import Output
    from llava_cli.record import error_record, to_json
    from llava_cli.request import Request

    known = {"asked": dict.fromkeys(Request().asked())} | dict(error.known)
    with suppress(OutputError, OSError):  # stderr and the exit code must still tell of the failure itself
        record = error_record(error, **known)
        if file is None:
            Output(1).write(to_json(record) + "\n")
        else:
            check_file(file, append)  # what has records of others may be what the error is about
            keep(file, append, *error.earlier, record)


def _json_option(command: Any) -> Any | None:
    return next((param for param in command.params if _JSON in param.opts), None)
