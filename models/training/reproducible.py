"""TensorFlow set up so that a training can be repeated bit for bit: one thread, deterministic operations.

On one and the same GPU too: there an operation that cannot be repeated raises. TF32 is off, by which newer
GPUs would round the factors of every product to 11 bits, which no processor does.
"""

import os

from loggrad_tf import quiet

THREADS = 1
ONEDNN = "TF_ENABLE_ONEDNN_OPTS"


def start_tensorflow() -> None:
    """Import TensorFlow for reproducible work, as the workers of a search do; for the whole process."""
    os.environ.setdefault(ONEDNN, "1")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # the processes share a GPU, if there is one
    quiet.import_tensorflow()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(False)
