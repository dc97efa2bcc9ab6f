"""This room trains networks: the optimizer, the training loop, the learning-rate finder and the grid search.

It may import `evaluation` and the rooms before it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["lr_finder"],
    submod_attrs={
        "grid": ["grid_trials", "run_grid"],
        "grid_effects": ["best_trial", "by_trial", "curves_by_factor", "edges", "factor_effects", "seed_noise"],
        "loop": ["KeepBest", "evaluate", "every_score", "fit", "fit_seeds", "predict_logits"],
    },
)
