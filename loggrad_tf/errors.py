"""The one error a user of this project is meant to see."""

# What a line quotes of a damaged file may be long; its beginning and end tell what and how to mend it.
_BEGINNING, _END = 1000, 300


class LogGradError(Exception):
    """Bad input, named in one line: what is wrong, where, and how to mend it.

    Library code raises it; the command-line doors print it as ``error: <text>``
    and exit with a code that is not 0 (see :mod:`loggrad_tf.cli`). Line ends become spaces and the middle
    of a text of more than 1300 characters is left out.
    """

    def __init__(self, text: str) -> None:
        if "\n" in text or "\r" in text:
            text = " ".join(text.split())
        if len(text) > _BEGINNING + _END:
            text = f"{text[:_BEGINNING]} ... {text[-_END:]}"
        super().__init__(text)
