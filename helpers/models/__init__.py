"""This room builds the networks, saves and loads their checkpoints, and exports them to ONNX.

It may import `data` and the rooms before it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "networks": [
            "COURSE_PARAMETERS",
            "LogisticRegression",
            "build_for",
            "build_model",
            "count_parameters",
            "forward_flop",
            "layer_table",
            "start_from_priors",
        ],
    },
)
