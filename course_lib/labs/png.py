"""A picture as PNG in about a millisecond, for a figure that is sent again at every move of a slider.

Most of the time that `savefig` takes for a PNG goes to compression. Here each row is stored as its difference
from the row above, which is nearly all zeros in a drawing, and deflated at level 1 by Intel's isa-l. On 1200 x 540
pixels: 1 ms and 93 kB, against 6 ms and 108 kB for zlib's level 1 without the differences.
"""

import struct

import numpy as np
from isal import isal_zlib

_RGBA_8_BITS = struct.pack("!5B", 8, 6, 0, 0, 0)  # depth, colour type, compression, filter, interlace
_UP = 2  # PNG's name for "difference from the row above"


def encode(pixels):
    """Return `pixels`, a uint8 array of shape (height, width, 4) in red, green, blue, alpha, as the bytes of a PNG.

    Raises ValueError for another shape or dtype.
    """
    pixels = np.asarray(pixels)
    if pixels.ndim != 3 or pixels.shape[2] != 4 or pixels.dtype != np.uint8:
        raise ValueError(f"pixels must be uint8 of shape (height, width, 4); got {pixels.dtype} {pixels.shape}.")
    height, width, _ = pixels.shape
    flat = pixels.reshape(height, 4 * width)
    rows = np.full((height, 1 + 4 * width), _UP, np.uint8)  # each row begins with the number of its filter
    rows[0, 1:] = flat[0]
    np.subtract(flat[1:], flat[:-1], out=rows[1:, 1:])  # modulo 256, as the format wants it
    header = struct.pack("!2I", width, height) + _RGBA_8_BITS
    data = isal_zlib.compress(rows, level=1)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind, data):
    checksum = isal_zlib.crc32(data, isal_zlib.crc32(kind))
    return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", checksum)
