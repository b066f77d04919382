"""Files of an archive, each read and evaluated in a process of its own: ours against BUILTIN_REF.

    python -m tests.support.graph_reference FILE.npz

TFLite may end the process on a hostile file, so every file gets a fork. One line a file:
equal, different, refused (by TFLite), costly (not run), or how the process ended.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from export.tflite.graph import parse
from export.tflite.quant_graph import Tensor
from tests.support import REPOSITORY, graph_numpy

SECONDS = 20
MAX_MACS, MAX_BYTES = 50_000_000, 8 << 20
ANSWERS = ("equal", "different", "refused", "costly")


def compare(files: list[bytes], folder: Path) -> list[str]:
    """One answer per file, from another process."""
    path = folder / "files.npz"
    np.savez(path, *(np.frombuffer(data, np.uint8) for data in files))
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.graph_reference", str(path)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    answers = [line[1:] for line in done.stdout.splitlines() if line.startswith("=")]
    assert len(answers) == len(files)
    return answers


def interpreter(content: bytes) -> Interpreter:
    """BUILTIN_REF, every tensor kept."""
    made = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
        num_threads=1,
    )
    made.allocate_tensors()
    return made


def invoke(reference: Interpreter, random: np.random.Generator) -> None:
    """Run once on random values of the input's type."""
    source = reference.get_input_details()[0]
    values = random.normal(size=source["shape"]) * 3
    if source["dtype"] != np.float32:
        limits = np.iinfo(source["dtype"])
        values = random.integers(limits.min, limits.max + 1, source["shape"])
    reference.set_tensor(source["index"], values.astype(source["dtype"]))
    reference.invoke()


def _same_output(reference: Interpreter, found: np.ndarray, tensor: Tensor) -> bool:
    """Whether the model's own output, of another type perhaps, stands for these int8 values."""
    detail = reference.get_output_details()[0]
    output, (scale, point) = reference.get_tensor(detail["index"]), detail["quantization"]
    real = (found.astype(np.float64) - tensor.zero_point) * tensor.scale
    if output.dtype == np.int8:
        return np.array_equal(output, found)
    if output.dtype == np.float32:
        return np.allclose(output, real, rtol=1e-5)
    return bool(np.all(np.abs(output - np.clip(real / scale + point, 0, 255)) <= 1))


def _answer(data: bytes) -> str:
    graph = parse(data)
    size = sum(tensor.size for tensor in graph.tensors.values())
    if sum(graph.macs(op) for op in graph.ops) > MAX_MACS or size > MAX_BYTES:
        return "costly"
    random = np.random.default_rng(0)
    try:
        reference = interpreter(data)
        for _ in range(2):
            invoke(reference, random)
            found = graph_numpy.run(graph, reference.get_tensor(graph.input))[graph.output]
            if not np.array_equal(reference.get_tensor(graph.output), found[None]):
                return "different"
            if not _same_output(reference, found[None], graph.tensors[graph.output]):
                return "different"
    except (ValueError, RuntimeError):
        return "refused"
    return "equal"


def _forked(data: bytes) -> str:
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)
        code = len(ANSWERS)
        try:
            code = ANSWERS.index(_answer(data))
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return ANSWERS[code] if 0 <= code < len(ANSWERS) else f"ended with {code}"


def main(path: str) -> None:
    with np.load(path) as archive:
        for name in archive.files:
            print("=" + _forked(archive[name].tobytes()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
