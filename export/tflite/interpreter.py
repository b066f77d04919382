"""Running an int8 flatbuffer with TFLite's reference kernels, the golden arithmetic.

This is the one module that knows LiteRT (``ai_edge_litert``): its interpreter, and ``schema``, the generated
classes of the flatbuffer, for those who read or write one.
Only the resolver BUILTIN_REF will do: the default one hands layers to XNNPACK, whose single
rounding differs by one on up to several per cent of the outputs.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema  # type: ignore[import-untyped]
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from loggrad_tf.errors import LogGradError

__all__ = ["ReferenceInterpreter", "schema"]


class ReferenceInterpreter:
    """An int8 network of one input and one output, batch 1."""

    def __init__(self, flatbuffer: bytes) -> None:
        try:
            self._interpreter = Interpreter(
                model_content=flatbuffer, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
            )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise LogGradError(f"the flatbuffer does not load in TFLite: {reason}") from None
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]

    @property
    def input_quantization(self) -> tuple[float, int]:
        """(scale, zero point) of the input tensor."""
        scale, zero_point = self._input["quantization"]
        return float(scale), int(zero_point)

    @property
    def output_quantization(self) -> tuple[float, int]:
        """(scale, zero point) of the output tensor."""
        scale, zero_point = self._output["quantization"]
        return float(scale), int(zero_point)

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """int8 (N, H, W, C) -> int8 (N, units) or (N, rows, columns, units), one image at a time."""
        outputs = []
        for image in inputs:
            self._interpreter.set_tensor(self._input["index"], image[None])
            self._interpreter.invoke()
            outputs.append(self._interpreter.get_tensor(self._output["index"])[0])
        return np.stack(outputs) if outputs else np.zeros((0, self._output["shape"][-1]), np.int8)
