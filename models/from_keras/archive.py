"""A .keras file -> the Keras model in it, without believing the file.

Before Keras sees anything: the archive's parts have sizes that a network for a board has, its configuration
is one that :mod:`models.from_keras.assembly` can express, and its weights lie in the file itself. Keras then
builds the model from what is known of that configuration alone: no code, no class that is not ours or
Keras', no initialiser, no loss.
"""

import io
import tempfile
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loggrad_tf import json_base, quiet
from loggrad_tf.errors import LogGradError
from models.from_keras import steps
from models.from_keras.assembly import assemble

if TYPE_CHECKING:
    import keras

_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
# Of the parts of an archive, bytes: weights with what an optimiser remembers of them.
_MOST = {_CONFIG: 4 * 2**20, _METADATA: 2**16, _WEIGHTS: 256 * 2**20}
# Where Keras has the classes of models, as its files say.
_PLACES: dict[str, dict[str, Any]] = {
    "Functional": {"module": "keras.src.models.functional", "registered_name": "Functional"},
    "Sequential": {"module": "keras", "registered_name": None},
}
# What zipfile raises of damaged archives.
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
_REMEDY = "save the model anew with model.save('NAME.keras')"


def load(path: Path) -> "keras.Model":
    """The model of a .keras file.

    Raises:
      LogGradError: no such file, a damaged one, or a model that cannot be converted; one line that names it.
    """
    if not path.is_file():
        raise LogGradError(f"{path}: no such file; model.save('NAME.keras') writes one")
    if path.suffix != ".keras":
        raise LogGradError(f"{path}: not a .keras file: {_REMEDY}")
    try:
        config, weights = _parts(path)
        assemble(steps.of(config))
    except LogGradError as error:
        raise LogGradError(f"{path}: {error}") from None
    return _built(path, config, weights)


def _parts(path: Path) -> tuple[dict[str, Any], bytes]:
    """The configuration, and the file of weights."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json_base.parse(_part(archive, _CONFIG), _CONFIG)
            metadata = json_base.parse(_part(archive, _METADATA), _METADATA)
            weights = _part(archive, _WEIGHTS)
    except _ZIP_ERRORS as error:
        raise LogGradError(f"damaged, or no .keras file ({error}): {_REMEDY}") from None
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    if not isinstance(version, str) or not version.startswith("3."):
        raise LogGradError(f"written by Keras {str(version)[:20]}, which is not known: {_REMEDY} of Keras 3")
    if not isinstance(config, dict):
        raise LogGradError(f"{_CONFIG} describes no model: {_REMEDY}")
    _check_weights(weights)
    return config, weights


def _part(archive: zipfile.ZipFile, name: str) -> bytes:
    """One part of the archive. No more of it is unpacked than its directory says."""
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise LogGradError(f"{name} is missing in it: {_REMEDY}") from None
    if info.file_size > _MOST[name]:
        raise LogGradError(f"{name} has {info.file_size} bytes, a network for a board at most {_MOST[name]}")
    # The other methods unpack without end whatever is asked for, and so does read() of all there is.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise LogGradError(f"{name} is packed in another way than Keras does: {_REMEDY}")
    with archive.open(info) as part:
        return part.read(info.file_size + 1)


def _check_weights(weights: bytes) -> None:
    """Refuse arrays that lie elsewhere, or unpack to more than a file of weights may have."""
    import h5py  # type: ignore[import-untyped]  # Keras needs it too

    total, wrong = 0, ""

    def visit(name: str, link: Any) -> bool | None:
        """True ends the visit; an exception would be lost in h5py."""
        nonlocal total, wrong
        item = file[name] if isinstance(link, h5py.HardLink) else None
        if item is None:
            wrong = "refers to another file"
        elif isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                wrong = "refers to another file"
            elif item.dtype.kind not in "biuf":
                wrong = "has arrays of other things than numbers"
            total += item.size * item.dtype.itemsize
        return True if wrong else None

    try:
        with h5py.File(io.BytesIO(weights)) as file:
            file.visititems_links(visit)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, SystemError) as error:
        raise LogGradError(f"{_WEIGHTS} is damaged ({str(error).splitlines()[0]}): {_REMEDY}") from None
    if wrong:
        raise LogGradError(f"{_WEIGHTS} {wrong}: {_REMEDY}")
    if total > _MOST[_WEIGHTS]:
        raise LogGradError(
            f"{_WEIGHTS} unpacks to {total} bytes, a network for a board to at most {_MOST[_WEIGHTS]}"
        )


def _built(path: Path, config: dict[str, Any], weights: bytes) -> "keras.Model":
    quiet.import_tensorflow()
    import keras

    # Registered when imported, as the file names them.
    import loggrad_tf.transform.trainable  # noqa: F401
    import models.batch_norm  # noqa: F401

    try:
        model = keras.saving.deserialize_keras_object(_known(config), safe_mode=True)
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
            file = Path(folder) / _WEIGHTS
            file.write_bytes(weights)
            model.load_weights(file)
    except Exception as error:
        # Keras has no exception of its own for what may be wrong with a file.
        reason = " ".join(str(error).rpartition("Exception encountered:")[2].split())[:200]
        raise LogGradError(f"{path}: damaged, Keras cannot build it ({reason}): {_REMEDY}") from None
    return model


def _known(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry of a model or a layer, without what inference has no use for."""
    config, place = entry["config"], dict[str, Any]()
    if steps.is_model(entry):
        place = _PLACES[entry["class_name"]]
        kept = {key: value for key, value in config.items() if key != "dtype"}
        kept["layers"] = [_known(child) for child in config["layers"]]
    else:
        # Initialisers, regularisers, constraints, precision: the weights are read, and are float32 here.
        kept = {key: value for key, value in config.items() if not isinstance(value, dict) and key != "dtype"}
    known = ("module", "class_name", "registered_name", "inbound_nodes")
    name = {"name": config["name"]}  # by which calls refer to it, whatever the entry says
    return {key: entry[key] for key in known if key in entry} | place | name | {"config": kept}
