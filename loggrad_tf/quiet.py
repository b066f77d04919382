"""Keeping libraries' start-up chatter off the terminal.

TensorFlow's C++ prints a page of notices to file descriptor 2 while it is imported and while
it converts, before any of its log settings apply. What is held back here is shown after all
if the block fails, so no reason for a failure is lost.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_ERRORS_ONLY_WHEN_FATAL = "3"


@contextlib.contextmanager
def stderr() -> Iterator[None]:
    """Hold back everything written to file descriptor 2; on an exception write it out."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        original = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            sys.stderr.flush()
            held.seek(0)
            os.write(original, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(original, 2)
            os.close(original)


def import_tensorflow() -> None:
    """Import TensorFlow and Keras without their notices; ``TF_CPP_MIN_LOG_LEVEL`` still rules later ones."""
    os.environ.setdefault(LOG_LEVEL, _ERRORS_ONLY_WHEN_FATAL)
    with stderr():
        import keras  # noqa: F401
        import tensorflow  # noqa: F401
