"""This room measures a network from its logits: metrics, confidence intervals, calibration, groups and Grad-CAM.

It may import `models` and the rooms before it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["gradcam", "groups"],
    submod_attrs={
        "bootstrap": ["bootstrap_difference", "bootstrap_scores", "every_interval", "verdict"],
        "calibration": ["choose_thresholds", "ece_by_chance", "fit_temperatures", "reliability"],
        "label_errors": ["likely_errors"],
        "metrics": [
            "best_constant",
            "decision_scores",
            "entropy",
            "per_attribute",
            "predictions",
            "probabilities",
            "scores",
        ],
    },
)
