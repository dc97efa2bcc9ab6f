"""This room writes about a finished run: the report in two languages, as HTML and PDF, and the model card.

It may import `notebook` and the rooms before it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "model_card": ["write_model_card"],
        "published": ["measured_steps", "published"],
        "sections": ["load_report", "show_section"],
    },
)
