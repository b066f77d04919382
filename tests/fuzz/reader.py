"""``python -m tests.fuzz.reader FORMAT CORPUS [-flags of libFuzzer]``: one format under Atheris.

Half of the inputs are changed by libFuzzer, half by what knows the format. A fault ends the process; its
input lies where ``-artifact_prefix`` says. ``CORPUS`` is a folder, begun with the format's seeds, or a file,
which is tried alone.
"""

import contextlib
import hashlib
import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-not-found]
import numpy as np

with atheris.instrument_imports(include=["loggrad_tf", "models", "export", "search", "firmware"]):
    from tests.fuzz import formats


def main() -> None:
    program, name, corpus, *flags = sys.argv
    with tempfile.TemporaryDirectory() as work:
        form = formats.prepare(name, Path(work))

        def change(data: bytes, most: int, seed: int) -> bytes:
            random = np.random.default_rng(seed)
            if random.integers(2):
                with contextlib.suppress(Exception):  # of bytes that are no longer of this format
                    return form.change(data, random)[:most]
            made: bytes = atheris.Mutate(data, most)
            return made

        if not Path(corpus).is_file():
            Path(corpus).mkdir(parents=True, exist_ok=True)
            for seed in form.seeds:
                (Path(corpus) / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
        most = 4 * max(map(len, form.seeds)) + 4096
        atheris.Setup([program, corpus, f"-max_len={most}", *flags], form.read, custom_mutator=change)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
