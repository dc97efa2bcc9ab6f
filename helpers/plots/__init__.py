"""This room draws the figures: each function takes data and returns the Axes or the Figure.

It may import `checks` and the rooms before it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["explorers"],
    submod_attrs={
        "evaluation": ["plot_confusion", "plot_intervals", "plot_maps", "plot_reliability", "plot_slices"],
        "grid": ["plot_differences", "plot_grid", "plot_parallel"],
        "style": [
            "WIDTH",
            "labels_in_words",
            "plot_bars",
            "plot_matrix",
            "plot_rates",
            "show_figure",
            "show_images",
        ],
        "training": [
            "plot_curves",
            "plot_dynamics",
            "plot_factor_curves",
            "plot_history",
            "plot_losses",
            "plot_scaling",
            "plot_steps",
            "plot_sweeps",
        ],
    },
)
