"""One call in a process of its own, for packages that change what all others of a process see.

tensorflow-model-optimization turns ``tf.keras`` into Keras 2 for every module of the process that imports it.
:func:`call` gives it a fresh Python: function and arguments go in by a pipe, the result comes out by another,
and the caller's process never loads what the function loads.

Such a process is none of :mod:`multiprocessing`'s: the workers of a search are daemons, which may have no
children of that kind. It ends with its caller, however that ends; Ctrl-C is the caller's to handle.
"""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from typing import IO, Any, TypeVar

from loggrad_tf import quiet
from loggrad_tf.errors import LogGradError

Result = TypeVar("Result")

_CHILD = f"from {__name__} import serve; serve()"


def call(function: Callable[..., Result], *arguments: Any) -> Result:
    """``function(*arguments)``, computed elsewhere; an exception there is raised here.

    Args:
      function: of a module that can be imported by its name; it and what it is given and returns must be
        picklable. It may print to stderr; what it prints to stdout goes there too.

    Raises:
      LogGradError: a package that the function imports is not installed, or its process died.
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as child:
        assert child.stdin is not None and child.stdout is not None
        try:
            good, answer = _exchange((function, arguments), child.stdin, child.stdout)
        except EOFError:
            raise LogGradError(f"{_name(function)}: its process {_end(child.wait())}") from None
        except BaseException:
            child.kill()
            raise
    if good:
        result: Result = answer
        return result
    if isinstance(answer, ModuleNotFoundError) and answer.name:
        package = answer.name.partition(".")[0].replace("_", "-")
        raise LogGradError(f"Python package {package} is not installed: pip install {package}") from answer
    raise answer


def _exchange(job: Any, given: IO[bytes], found: IO[bytes]) -> tuple[bool, Any]:
    with contextlib.suppress(BrokenPipeError):  # it has died, and so nothing will come
        pickle.dump(job, given, pickle.HIGHEST_PROTOCOL)
        given.flush()
    good, answer = pickle.load(found)
    return good, answer


def _name(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def _end(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed, as when memory runs out: free some"
    return f"ended with exit code {code}" if code >= 0 else f"was ended by signal {-code}"


def serve() -> None:
    """The other side of :func:`call`: one job from stdin, its result to what was stdout."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with quiet.stderr():  # TensorFlow may be imported by the way
        function, arguments = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_caller, daemon=True).start()
    try:
        answer: tuple[bool, Any] = (True, function(*arguments))
    except Exception as error:
        if not isinstance(error, LogGradError):
            error.add_note(traceback.format_exc())
        answer = (False, error)
    with answers:
        pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)


def _end_with_caller() -> None:
    """Wait until nobody holds the other end of stdin any more."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)
