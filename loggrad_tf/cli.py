"""The shell round every command: one-line errors, honest exit codes.

``run(main)`` parses absl flags and calls ``main(argv)``. Exit codes: 0 done,
1 the input or the machine is at fault (one line on stderr), 2 the command line
is at fault, 130 interrupted. A traceback means a defect of this program.
"""

import re
import sys
from collections.abc import Callable

from absl import app, flags

from loggrad_tf import files
from loggrad_tf.errors import LogGradError

# What absl says of a flag that must be given and was not.
_MISSING = re.compile(r"flag --(\w+)=None: Flag --\1 must have a value other than None")


def _parse(argv: list[str]) -> list[str]:
    if "--help" in argv[1:] or "-h" in argv[1:]:
        app.usage(shorthelp=True, writeto_stdout=True)
        sys.exit(0)
    if "--helpfull" in argv[1:]:
        app.usage(shorthelp=False, writeto_stdout=True)
        sys.exit(0)
    try:
        positional = flags.FLAGS(argv)
    except flags.Error as error:
        reason = " ".join(str(error).split())
        if (missing := _MISSING.match(reason)) is not None:
            reason = f"--{missing[1]} is missing"
        _fail(2, f"{reason} (see --help)")
    if len(positional) > 1:
        _fail(2, f"unexpected argument '{positional[1]}': write values as --flag=value (see --help)")
    return positional


def _fail(code: int, message: str) -> None:
    sys.stdout.flush()
    print(f"error: {' '.join(message.split())}", file=sys.stderr, flush=True)
    sys.exit(code)


def _describe(error: OSError) -> str:
    # Of two names, as of a copy, the second is the one that is written.
    if files.is_full(error):
        return files.full(str(error.filename2 or error.filename or "a file"), error)
    where = " -> ".join(str(name) for name in (error.filename, error.filename2) if name)
    reason = error.strerror or str(error)
    return f"{where}: {reason}" if where else reason


def run(main: Callable[[list[str]], int | None]) -> None:
    """Parse the flags, run ``main`` and exit with its code.

    ``--help`` prints the flags that the calling module shows, ``--helpfull`` all; neither is an error.
    """

    def guarded(argv: list[str]) -> int | None:
        try:
            return main(argv)
        except LogGradError as error:
            _fail(1, str(error))
        except OSError as error:
            _fail(1, _describe(error))
        except MemoryError:
            _fail(1, "memory ran out: close other programs, or give this one less to do")
        except KeyboardInterrupt:
            _fail(130, "interrupted")
        return None

    app.run(guarded, flags_parser=_parse)
