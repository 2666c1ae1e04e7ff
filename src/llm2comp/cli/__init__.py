"""The console command. Each subcommand lives in a module of its own, imported when it is called."""

import sys
from importlib import import_module

from llm2comp.cli.wrapped_errors import user_error_in
from llm2comp.errors import unknown

# subcommand -> (module, what it does)
COMMANDS = {
    "fit": ("llm2comp.cli.training", "train an encoder from a YAML experiment"),
    "validate": ("llm2comp.cli.training", "measure an encoder on held-out text"),
    "plan": ("llm2comp.cli.plan", "say what memory training takes of each device, and what fits"),
    "ablate": ("llm2comp.cli.ablate", "run a sweep of experiments on this machine"),
    "dashboard": ("llm2comp.cli.dashboard", "make a page of all ablations, and W&B workspaces and reports"),
    "mine": ("llm2comp.cli.mine", "give pairs the hard negatives that an encoder finds"),
    "evaluate": ("llm2comp.cli.evaluate", "score encoders on MTEB tasks"),
    "tabulate": ("llm2comp.cli.tabulate", "put scores into a table, beside the published ones"),
    "analyze": ("llm2comp.cli.analyze", "measure how embeddings and memory states lie in space"),
    "evaluate-words": ("llm2comp.cli.evaluate_words", "tag words by linear heads on an encoder's frozen states"),
    "data": ("llm2comp.cli.data", "fetch evaluation data for machines without a network"),
    "reconstruct": ("llm2comp.cli.reconstruct", "show what the frozen decoder reads in the memory tokens of a text"),
}


def main(arguments: list[str] | None = None) -> None:
    """Run a subcommand; errors that are the user's to mend end with one message and exit status 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help())
        return
    name = arguments[0]
    try:
        if name not in COMMANDS:
            raise unknown("command", name, COMMANDS)
        import_module(COMMANDS[name][0]).main(arguments)
    except ValueError as error:
        cause = user_error_in(error)
        if cause is None:
            raise
        print(f"llm2comp: error: {cause}", file=sys.stderr)
        sys.exit(2)


def _help() -> str:
    commands = "\n".join(f"  {name:<16}{description}" for name, (_, description) in COMMANDS.items())
    return f"""usage: llm2comp COMMAND [options]

Turn a decoder-only LLM into a text encoder by learning to compress.

commands:
{commands}

'llm2comp COMMAND --help' lists a command's options. To start:
  llm2comp fit --config experiments/pretrain_compress.yaml"""
