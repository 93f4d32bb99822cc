"""Sample images, so that training can be tried without a download.

In here: WebP files, made by tools/paint_samples.py, and where they are. README.txt
names their sources and licenses. Not in here: reading them.
"""

from pathlib import Path


def sample_dir(are_photographs: bool, split: str) -> Path:
    """Returns the folder of the sample images 1.webp, 2.webp, ... of a split.

    Args:
        are_photographs: True for colour photographs, for colorization; False for pairs
            of 512 x 256 pixels, a facade on the left and its labels on the right.
        split: "train" or "test".
    """
    kind = "photographs" if are_photographs else "facades"
    return Path(__file__).parent / kind / split
