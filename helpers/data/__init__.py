"""This room turns image files and labels into augmented batches on the device, and draws the built-in faces.

It may import `errors`, `config` and `system`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "augmentation": ["augment", "draw_augmentation"],
        "batches": ["Split", "denormalise", "load_split", "normalise", "training_batches"],
        "celeba": ["Dataset", "open_dataset"],
        "check": ["examine"],
        "labels": ["label_consistency"],
        "official": ["OFFICIAL_SIZES"],
    },
)
