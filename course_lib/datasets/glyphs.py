"""Images of digits and letters drawn from the fonts inside Matplotlib: as many as you want, and fonts never seen before."""

from functools import lru_cache

import numpy as np

from course_lib._inputs import generator, not_negative, one_of, whole
from course_lib.datasets._dataset import Dataset

SIZE = 28
_CLASSES = {"digits": "0123456789", "letters": "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_FONTS = {
    "train": [
        "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique",
        "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic",
        "DejaVuSansMono", "DejaVuSansMono-Bold",
    ],
    "held_out": ["STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta", "cmr10", "cmss10", "cmtt10", "cmb10"],
}  # fmt: skip
_FONTS["all"] = _FONTS["train"] + _FONTS["held_out"]


def make_glyphs(n_samples=2000, classes="digits", fonts="train", random_state=None, *, noise=0.1):
    """Grey images of 28 x 28 pixels, turned, sheared, resized, moved and blurred by noise. About 0.1 ms each.

    classes : "digits" (10), "letters" (26 capitals), or a string of characters of your own, such as "O0Q".
    fonts : "train" (DejaVu), "held_out" (STIX and Computer Modern) or "all". The two lists share no font and no
    designer, so a model trained on one and tested on the other meets a real shift, not a simulated one.
    noise : standard deviation of the noise on each pixel; grey values run from 0 to 1.

    Returns X (m, 784) as float32, one image per row, so that `X.reshape(-1, 28, 28)` are the pictures; y (m,) counts
    from 0 in the order of `classes`. truth: characters (y -> character), fonts (m,) the font of each row, image_shape.

    Origin: drawn by course_lib. The fonts ship with Matplotlib: DejaVu (Bitstream Vera licence), STIX (SIL OFL 1.1),
    Computer Modern as BaKoMa TrueType (BaKoMa licence); all allow pictures made with them. The images are CC0.
    """
    n_samples, noise = whole("n_samples", n_samples), not_negative("noise", noise, example="0.1", ndim=0)
    names = _FONTS[one_of("fonts", fonts, tuple(_FONTS))]
    characters = _characters(classes)
    rng = generator(random_state)
    y = rng.permutation(np.arange(n_samples) % len(characters))
    font = rng.integers(len(names), size=n_samples)
    inverse, offset = _random_maps(rng, n_samples)

    from scipy.ndimage import affine_transform

    X = np.empty((n_samples, SIZE, SIZE), np.float32)
    for i in range(n_samples):
        picture = _draw(names[font[i]], characters[y[i]])
        affine_transform(picture, inverse[i], offset[i], output_shape=(SIZE, SIZE), output=X[i], order=1)
    X += noise * rng.standard_normal(X.shape, dtype=np.float32)
    return Dataset(
        X=np.clip(X, 0, 1, out=X).reshape(n_samples, -1),
        y=y,
        feature_names=[f"pixel {row},{column}" for row in range(SIZE) for column in range(SIZE)],
        target_name="character",
        origin="Drawn by course_lib from the fonts that ship with Matplotlib.",
        licence="CC0 (images)",
        truth={"characters": list(characters), "fonts": np.array(names)[font], "image_shape": (SIZE, SIZE)},
    )


def _characters(classes):
    if not isinstance(classes, str):
        raise TypeError(f"classes must be 'digits', 'letters' or a string of characters; got {classes!r}.")
    characters = _CLASSES.get(classes, classes)
    if len(set(characters)) != len(characters) or len(characters) < 2 or not (characters.isascii() and characters.isalnum()):
        raise ValueError(f"classes must be 'digits', 'letters' or two or more different ASCII letters or digits; got {classes!r}.")
    return characters


def _random_maps(rng, m):
    """Maps from a pixel of the image to a point of the drawing: m matrices (2, 2) and m offsets (2,)."""
    angle, shear = rng.uniform(-0.25, 0.25, m), rng.uniform(-0.3, 0.3, m)
    scale = rng.uniform(1.3, 2.1, (m, 2))  # points of the drawing per pixel: above 1 makes it smaller
    cos, sin = np.cos(angle), np.sin(angle)
    inverse = np.stack([cos, -sin, sin + shear * cos, cos - shear * sin], -1).reshape(m, 2, 2) * scale[:, :, None]
    centre = np.full(2, (SIZE - 1) / 2) + rng.uniform(-2, 2, (m, 2))
    offset = (_CANVAS - 1) / 2 - np.einsum("mij,mj->mi", inverse, centre)
    return inverse, offset


_CANVAS = 56


@lru_cache(maxsize=2048)
def _draw(font, character):
    """One character, about 31 points high, in the middle of a canvas of 56 x 56, grey values 0 to 1."""
    from matplotlib import get_data_path
    from matplotlib.ft2font import FT2Font

    ft = FT2Font(f"{get_data_path()}/fonts/ttf/{font}.ttf")
    ft.set_size(42, 72)
    ft.set_text(character, 0)
    ft.draw_glyphs_to_bitmap(antialiased=True)
    ink = np.asarray(ft.get_image(), np.float32) / 255
    ink = ink[np.ix_(ink.any(1), ink.any(0))]
    canvas = np.zeros((_CANVAS, _CANVAS), np.float32)
    top, left = (_CANVAS - ink.shape[0]) // 2, (_CANVAS - ink.shape[1]) // 2
    canvas[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    canvas.flags.writeable = False  # shared by every image of this character
    return canvas
