"""Explorers of 07_test: the threshold of an attribute, and the mistakes of a network."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.config import ATTRIBUTES
from helpers.data.batches import Split
from helpers.evaluation.calibration import choose_thresholds
from helpers.evaluation.metrics import bce_losses, per_decision, predictions, probabilities
from helpers.plots.explorers.explorer import View, explore
from helpers.plots.style import ACCENT, INK, SHADES, SMALLEST, SOFT, SPLIT_COLOURS, WIDTH
from helpers.plots.words import ENGLISH
