"""The options among command-line arguments."""

from collections.abc import Sequence


def named_options(arguments: Sequence[str]) -> dict[str, list[str]]:
    """The values given to each option, written `--name value` or `--name=value`; an option alone has none."""
    options: dict[str, list[str]] = {}
    name = None
    for argument in arguments:
        if argument.startswith("--"):
            name, equals, value = argument.removeprefix("--").partition("=")
            options.setdefault(name, []).extend([value] if equals else [])
        elif name is not None:
            options[name].append(argument)
            name = None
    return options


def option_of(name: str, whole: str) -> bool:
    """Whether an option is `whole` or a part of it; `init_args` may stand in a name or be left out."""
    short, within = (option.replace(".init_args", "") for option in (name, whole))
    return f"{short}.".startswith(f"{within}.")
