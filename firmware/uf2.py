"""``python -m firmware.uf2 IMAGE.bin IMAGE.uf2 --origin=0x10000000 --family=0xe48bff56``: a binary as UF2.

UF2 is what boot loaders with a USB drive take: blocks of 512 bytes, each with its address and 256 bytes
of data,

    magic, magic, flags, address, size, block, blocks, family, 476 bytes of data, magic

(words of 32 bits, little-endian). The last block is filled up with zeros.
"""

import argparse
import struct
import sys
from pathlib import Path

MAGIC_START, MAGIC_SECOND, MAGIC_END = 0x0A324655, 0x9E5D5157, 0x0AB16F30
FAMILY_PRESENT = 0x2000
PAYLOAD, BLOCK = 256, 512


def convert(image: bytes, origin: int, family: int) -> bytes:
    """UF2 blocks that put ``image`` at address ``origin`` of a chip of ``family``.

    Raises ValueError for an empty image or an address that is no multiple of 256 or leaves 32 bits.
    """
    if not image:
        raise ValueError("the image is empty")
    if origin % PAYLOAD or not 0 <= origin <= 2**32 - len(image):
        raise ValueError(f"origin 0x{origin:x}: give a multiple of {PAYLOAD} that leaves room for the image")
    count = -(-len(image) // PAYLOAD)
    blocks = []
    for number in range(count):
        data = image[number * PAYLOAD : (number + 1) * PAYLOAD].ljust(PAYLOAD, b"\0")
        address = origin + number * PAYLOAD
        head = (MAGIC_START, MAGIC_SECOND, FAMILY_PRESENT, address, PAYLOAD, number, count, family)
        blocks.append(struct.pack("<8I", *head) + data.ljust(476, b"\0") + struct.pack("<I", MAGIC_END))
    return b"".join(blocks)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("image", type=Path)
    parser.add_argument("uf2", type=Path)
    parser.add_argument("--origin", type=lambda text: int(text, 0), required=True)
    parser.add_argument("--family", type=lambda text: int(text, 0), required=True)
    arguments = parser.parse_args()
    try:
        arguments.uf2.write_bytes(convert(arguments.image.read_bytes(), arguments.origin, arguments.family))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
