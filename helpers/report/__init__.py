"""This room writes the report of a run, in French or English, as HTML, PDF or Markdown, and the model card.

It may import `notebook` and the rooms before it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "published": ["measured_scaling", "measured_steps", "published"],
        "sections": ["load_report", "show_section"],
    },
)
