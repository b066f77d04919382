"""What a command says of a fault that is not its own."""

import subprocess
import sys

import pytest

from tests.support import REPOSITORY


@pytest.mark.seconds
@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("bytearray(2**60)", "memory ran out: close other programs, or give this one less to do"),
        ("open('/dev/full', 'w', 1).write('a\\n')", "a file: the disk is full"),
        ("open('/nowhere/a')", "/nowhere/a: No such file or directory"),
        ("os.rename('/nowhere/a', '/nowhere/b')", "/nowhere/a -> /nowhere/b: No such file or directory"),
    ],
)
def test_one_line_and_code_1(body: str, told: str) -> None:
    program = f"import os\nfrom loggrad_tf import cli\ndef main(argv):\n    {body}\ncli.run(main)\n"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith(f"error: {told}"), done.stderr
    assert done.stderr.count("\n") == 1
