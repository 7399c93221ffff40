"""What every program does around its one call: flags, `--help`, errors, exit codes.

Exit codes: 0 done; 2 the user's input was wrong (one line on stderr); 1 anything else.
"""

import gc
import os
import sys
import textwrap
import time
from collections.abc import Callable, Mapping

from absl import flags

from dfcvae_tf.errors import Stopped, UserError, unknown_name
from dfcvae_tf.messages import held_back_stderr

Main = Callable[[flags.FlagValues], None]


def run_program(
    description: str | None,
    define_flags: Callable[[flags.FlagValues], None],
    main: Main | Mapping[str, Main],
    argv: list[str] | None = None,
) -> None:
    """Parses the command line, calls `main` with the flags and exits.

    Args:
      description: what the program is for (its module docstring); printed by `--help`.
      define_flags: defines the program's flags on the FlagValues given to it.
      main: the program; with several commands, name -> program of each. It imports
        TensorFlow itself, so that `--help` does not.
      argv: the command line; that of the process when not given.
    """
    code = _run(description, define_flags, main, sys.argv if argv is None else argv)
    # Only here is an error's traceback gone, and with it what its frames held: TensorFlow
    # can hang at exit when a dataset iterator outlives the interpreter.
    gc.collect()
    sys.exit(code)


def _run(
    description: str | None,
    define_flags: Callable[[flags.FlagValues], None],
    main: Main | Mapping[str, Main],
    argv: list[str],
) -> int:
    """Does what `run_program` says and returns the exit code."""
    # Flags of this program only: libraries define theirs on absl's global FLAGS.
    values = flags.FlagValues()
    define_flags(values)
    flags.DEFINE_bool("help", False, "show this text", flag_values=values)
    flags.DEFINE_string("flagfile", "", "read flags from a file", flag_values=values)
    try:
        rest = _parse(values, argv)
        if values["help"].value:
            print(f"{(description or '').strip()}\n\nFlags:\n{_flags_help(values)}")
            return 0
        if isinstance(main, Mapping):
            if not rest or rest[0] not in main:
                raise unknown_name("command", rest[0] if rest else "", main)
            main = main[rest.pop(0)]
        if rest:
            raise UserError(f"unexpected argument {rest[0]!r}; flags are --name=value")
        main(values)
    except UserError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except Stopped as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 1
    return 0


def import_tensorflow() -> None:
    """Imports TensorFlow without its start-up messages; programs call it first in main.

    They come from C++, some before any log level counts, and would bury a one-line
    error. With TF_CPP_MIN_LOG_LEVEL set in the environment, nothing is held back.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    with held_back_stderr():
        import tensorflow as tf

        # The search for GPUs prints too, and would otherwise come later.
        tf.config.list_physical_devices()
    # Its warnings are of code, such as many runs that are traced alike.
    tf.get_logger().setLevel("ERROR")


def progress_printer() -> Callable[[str], None]:
    """Returns what prints a text behind the seconds since now: "[  12 s] text"."""
    start = time.monotonic()
    return lambda text: print(f"[{time.monotonic() - start:4.0f} s] {text}", flush=True)


def _parse(values: flags.FlagValues, argv: list[str]) -> list[str]:
    try:
        return values(argv)[1:]
    except flags.Error as error:
        raise UserError(f"{error} (--help lists the flags)") from error


def _flags_help(values: flags.FlagValues) -> str:
    # In the order they were defined, not absl's alphabetical one: related flags stand
    # together.
    lines = []
    for flag in values._flags().values():
        lines.append(f"  --{'[no]' if flag.boolean else ''}{flag.name}")
        lines.append(textwrap.indent(textwrap.fill(flag.help, 74), " " * 6))
    return "\n".join(lines)
