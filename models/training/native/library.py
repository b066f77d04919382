"""The compiled functions and their structures, as C++ has them (``source/api.cpp``, ``source/input.h``)."""

import ctypes
import functools
from ctypes import POINTER, Structure, c_float, c_int, c_int32, c_int64, c_void_p
from typing import Any

import numpy as np

from models.training.native import build

KINDS = ("input", "conv", "depthwise", "dense", "add", "max_pool", "avg_pool", "global_avg", "flatten")
TABLE, LOG_GRADIENT, LEVELS = range(3)

# What becomes of an image; ``Draw`` in input.h.
DRAW = np.dtype([(name, np.int32) for name in ("rows", "columns", "mirrored", "extra", "cut", "top", "left")])
REPORT = np.dtype([("loss", np.float32), ("right", np.float32)])
# An op; ``Description`` in api.cpp.
DESCRIPTION = np.dtype(
    [
        *((name, np.int32) for name in ("kind", "rows", "columns", "channels")),
        ("window", np.int32, 6),
        *((name, np.int32) for name in ("normed", "relu", "sources")),
    ]
)


class FrontEndStruct(Structure):
    """``FrontEnd`` in input.h."""

    _fields_ = [
        *(
            (name, c_int32)
            for name in ("format", "rows", "columns", "valid", "offset", "shift", "ratio_count")
        ),
        *((name, c_void_p) for name in ("ratios", "values", "logarithms")),
        *((name, c_int32) for name in ("last", "cutout")),
    ]


class DescentStruct(Structure):
    """``Descent`` in training.h."""

    _fields_ = [
        ("adam", c_int32),
        *((name, c_float) for name in ("momentum", "smoothing", "decay", "object_weight")),
        ("slots", c_void_p),
        ("powers", c_float * 2),
    ]


@functools.cache
def load() -> Any:
    """The library, compiled if need be.

    Raises:
      LogGradError: it cannot be compiled.
    """
    library = ctypes.CDLL(str(build.built()))
    front, descent = POINTER(FrontEndStruct), POINTER(DescentStruct)
    library.native_create.restype = c_void_p
    library.native_create.argtypes = [c_void_p, c_int, c_void_p, c_int, c_int, c_void_p, c_void_p, c_void_p]
    library.native_destroy.restype = None
    library.native_destroy.argtypes = [c_void_p]
    library.native_mask.restype = None
    library.native_mask.argtypes = [c_void_p, c_int, c_void_p]
    library.native_train.argtypes = [c_void_p, front, descent, c_void_p, c_int, *[c_void_p] * 5]
    library.native_predict.argtypes = [c_void_p, front, c_void_p, c_int64, c_void_p]
    library.native_encode.argtypes = [front, c_void_p, c_int64, c_void_p, c_void_p]
    return library


def pointer(array: np.ndarray) -> int:
    """Of a contiguous array, which must outlive its use."""
    assert array.flags.c_contiguous
    return int(array.ctypes.data)
