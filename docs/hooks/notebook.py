"""A Jupyter notebook, as it was run, as a page: its text, its code, and what each cell gave.

Shown are text and PNG pictures, of an output in several forms the picture. Left out is what went to standard
error, which is progress and its time.
"""

import base64
import json
from typing import Any


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def _fenced(text: str, language: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```\n"


def _plain(output: dict[str, Any]) -> str:
    """The text of an output, empty if it has none that is shown."""
    if output["output_type"] == "stream":
        return _joined(output["text"]) if output["name"] == "stdout" else ""
    return _joined(output["data"].get("text/plain", ""))


def page(name: str, text: str) -> tuple[str, dict[int, bytes]]:
    """Markdown, and the PNG files that it shows as ``STEM-NUMBER.png``, by number.

    Args:
      name: of the notebook's file.
      text: what it holds.
    """
    stem = name.removesuffix(".ipynb")
    parts: list[str] = []
    pictures: dict[int, bytes] = {}
    language = json.loads(text)["metadata"]["language_info"]["name"]
    for cell in json.loads(text)["cells"]:
        source = _joined(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source + "\n")
            continue
        parts.append(_fenced(source, language))
        for output in cell["outputs"]:
            picture = output.get("data", {}).get("image/png")
            if picture is not None:
                number = len(pictures) + 1
                pictures[number] = base64.b64decode(_joined(picture))
                parts.append(f"![What the cell above draws]({stem}-{number}.png)\n")
            elif shown := _plain(output):
                parts.append(_fenced(shown, "text"))
    return "\n".join(parts), pictures
