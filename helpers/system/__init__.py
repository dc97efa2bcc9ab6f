"""This room holds what the machine provides: the device, random seeds, files, processes and progress bars.

It may import only `errors` and `config`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "devices": ["choose_device", "set_seed"],
    },
)
