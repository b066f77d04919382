"""firmware.mended: flatbuffers that TFLite refuses for what says nothing."""

from pathlib import Path

import pytest
from ai_edge_litert import schema_py_generated as schema

from export import firmware
from firmware import project, verify
from firmware.mended import mended
from firmware.project import FirmwareError
from tests.support import quantized
from tests.support.operator_nets import packed


def damaged() -> bytes:
    """Biases that are quantised along a side they have not."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(quantized.separable()), 0))
    for tensor in model.subgraphs[0].tensors:
        if tensor.type == schema.TensorType.INT32 and len(tensor.shape) == 1:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = (
                [0.1] * tensor.shape[0],
                [0] * tensor.shape[0],
            )
            tensor.quantization.quantizedDimension = 3
    return packed(model)


@pytest.mark.seconds
def test_a_dimension_of_vectors_is_no_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(damaged())
    firmware.write(firmware.make(model, "host", firmware.Options(2)), tmp_path / "p")
    made = project.load(tmp_path / "p")
    assert verify.verify(made).mismatches == 0
    assert (made.path / "model.tflite").read_bytes() == model.read_bytes()
    monkeypatch.setattr(verify, "mended", lambda content, _: content)
    with pytest.raises(FirmwareError, match="does not load in TFLite: quantized_dimension"):
        verify.Reference(model)


def test_nothing_else_is_changed() -> None:
    content = quantized.separable()
    assert mended(content, schema) == content
    once = mended(damaged(), schema)
    assert len(once) == len(damaged()) and mended(once, schema) == once != damaged()
