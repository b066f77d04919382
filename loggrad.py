"""``loggrad VERB ...``: every door of the project under one name.

``loggrad search --out=runs/a`` is ``python -m search.evolve --out=runs/a``: the same code, flags and exit
codes. A door is loaded when it is asked for; the list of verbs is read from the doors' docstrings.
"""

import ast
import difflib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

DOORS = {
    "doctor": "export.doctor",
    "prepare": "loggrad_tf.prepare",
    "preview": "loggrad_tf.preview",
    "search": "search.evolve",
    "report": "search.report",
    "train": "models.train",
    "convert": "export.convert",
    "energy": "export.energy",
    "firmware": "export.firmware",
    "build": "firmware.build",
    "run": "firmware.run",
    "verify": "firmware.verify",
    "flash": "firmware.flash",
    "collect": "firmware.collect",
    "watch": "firmware.watch",
    "experiments": "experiments.__main__",
}


def summary(docstring: str) -> str:
    """The first sentence of a door's docstring, without the command that may stand before it."""
    line = docstring.strip().split("\n")[0]
    if line.startswith("``"):
        line = line[2:].partition("``: ")[2]
    return line[:1].upper() + line[1:].rstrip(".")


def under_one_name(docstring: str) -> str:
    """The docstring with ``loggrad VERB`` where it has ``python -m DOOR``."""
    for verb, door in DOORS.items():
        docstring = docstring.replace(f"python -m {door.removesuffix('.__main__')}", f"loggrad {verb}")
    return docstring


def _read(door: str) -> tuple[ModuleSpec, ast.Module]:
    """Where a door's module is, and its source parsed; the door itself is not run."""
    spec = importlib.util.find_spec(door)
    assert spec is not None and spec.origin is not None
    return spec, ast.parse(Path(spec.origin).read_bytes(), spec.origin)


def _listing() -> str:
    lines = ["usage: loggrad VERB [--FLAG=VALUE ...]; loggrad VERB --help tells its flags", ""]
    for verb, door in DOORS.items():
        lines.append(f"  {verb:12s} {summary(ast.get_docstring(_read(door)[1]) or '')}")
    return "\n".join(lines)


def _run(verb: str, arguments: list[str]) -> None:
    """What ``python -m DOOR`` does, with the name of the verb in place of the file's."""
    spec, tree = _read(DOORS[verb])
    text = ast.get_docstring(tree, clean=False)
    assert text is not None, f"{spec.name} has no docstring"
    docstring = ast.Constant(under_one_name(text))
    tree.body[0] = ast.fix_missing_locations(ast.copy_location(ast.Expr(docstring), tree.body[0]))
    main = importlib.util.module_from_spec(spec)
    main.__name__ = "__main__"
    sys.modules["__main__"] = main
    sys.argv = [f"loggrad {verb}", *arguments]
    exec(compile(tree, spec.origin or verb, "exec"), main.__dict__)


def main() -> int:
    """The console script; a door ends the process with its own exit code."""
    verb, *arguments = sys.argv[1:] or ["--help"]
    if verb in ("--help", "-h"):
        print(_listing())
        return 0
    if verb not in DOORS:
        near = difflib.get_close_matches(verb, DOORS, 1)
        hint = f"did you mean '{near[0]}'?" if near else "see loggrad --help"
        print(f"error: no verb '{verb}': {hint}", file=sys.stderr)
        return 2
    _run(verb, arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
