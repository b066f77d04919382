"""The one error a user of this project is meant to see."""


class LogGradError(Exception):
    """Bad input, named in one line: what is wrong, where, and how to mend it.

    Library code raises it; the command-line doors print it as ``error: <text>``
    and exit with a code that is not 0 (see :mod:`loggrad_tf.cli`).
    """
