"""The official CelebA (Liu et al. 2015): its names, sizes, checksums and known duplicates."""

import itertools
import re

import pandas as pd

from helpers.config import ATTRIBUTE_FILE, IDENTITY_FILE, IMAGE_FOLDER, PARTITION_FILE, SPLITS

CELEBA_ATTRIBUTES = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips",
    "Big_Nose", "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin",
    "Eyeglasses", "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open",
    "Mustache", "Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline",
    "Rosy_Cheeks", "Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat",
    "Wearing_Lipstick", "Wearing_Necklace", "Wearing_Necktie", "Young",
)  # fmt: skip

OFFICIAL_SIZES = {"train": 162_770, "valid": 19_867, "test": 19_962}
"""The number of images in each split of the official CelebA (list_eval_partition.txt)."""

# Positives per split, counted in list_attr_celeba.txt
OFFICIAL_POSITIVES = {
    "Smiling": {"train": 78080, "valid": 9602, "test": 9987},
    "Wearing_Hat": {"train": 8039, "valid": 940, "test": 839},
    "Male": {"train": 68261, "valid": 8458, "test": 7715},
    "Young": {"train": 126788, "valid": 14832, "test": 15114},
    "Eyeglasses": {"train": 10521, "valid": 1383, "test": 1289},
}
OFFICIAL_FILES = {  # MD5 and bytes; the MD5s are those that torchvision.datasets.CelebA checks
    ATTRIBUTE_FILE: ("75e246fa4810816ffd6ee81facbd244c", 26_721_026),
    PARTITION_FILE: ("d32c9cbf5e040fd4025c592c306e6668", 2_836_386),
    IDENTITY_FILE: ("32bd1bd63d3c78cd57e08160ec5ed1e2", 3_424_458),
    f"{IMAGE_FOLDER}.zip": ("00d2c5bc6d35e252742224ab0c1e8fcb", 1_443_490_838),
}
IMAGE_SHAPE = "178x218"  # width and height of an aligned image
# Byte-identical images: copies beyond the first, and groups of copies that lie in two splits
OFFICIAL_COPIES = {"extra": 131, "train/valid": 24, "train/test": 11, "valid/test": 2}


def official_splits(names: pd.Index) -> pd.Series:
    """Return the official split of each image name; missing for a name that is not one of CelebA's.

    The images are numbered across the splits: train ends with 162770.jpg, valid with 182637.jpg, test with
    202599.jpg.
    """
    numbers = pd.Series([_number(name) for name in names], index=names)
    edges = [0, *itertools.accumulate(OFFICIAL_SIZES[split] for split in SPLITS)]
    return pd.cut(numbers, edges, labels=list(SPLITS))


def _number(name: str) -> float:
    """Return N for NNNNNN.jpg (or .png), and NaN for any other name."""
    match = re.fullmatch(r"(\d{6})\.(jpg|png)", str(name))
    return int(match[1]) if match else float("nan")
