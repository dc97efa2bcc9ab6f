"""Explorers: figures with controls, for a person who steps through a notebook.

Each function takes data and shows one explorer. Under papermill, and wherever else nobody can move the controls, it
shows its figure as it is at the start. No explorer trains a network or changes a result.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "baselines": ["try_constants"],
        "faces": ["browse_faces", "browse_persons", "try_augmentation"],
        "grid": ["filter_trials"],
        "lr_finder": ["move_lr"],
        "overfit": ["step_epochs"],
        "own_face": ["try_face"],
        "test": ["browse_mistakes", "move_threshold"],
        "training": ["compare_trainings", "step_predictions"],
    },
)
