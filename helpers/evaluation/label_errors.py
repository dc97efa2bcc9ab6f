"""Labels that are likely to be wrong, according to a network that was not trained on them."""

import numpy as np
import pandas as pd

from helpers.config import ATTRIBUTES


def likely_errors(probabilities: np.ndarray, targets: np.ndarray) -> pd.DataFrame:
    """Return the labels that a network confidently contradicts, most likely errors first.

    The network must not have been trained on these labels. Confident learning (Northcutt, Jiang and Chuang, "Confident
    Learning: Estimating Uncertainty in Dataset Labels", 2021), per attribute: a label is doubtful if the opposite value
    is the more probable one, and at least as probable as it is on average for the images that have it as their label.
    Columns: image (row of the arrays), attribute, label, probability (of yes). No image is removed.
    """
    found = []
    for column, attribute in enumerate(ATTRIBUTES):
        yes, label = probabilities[:, column], np.asarray(targets)[:, column] == 1
        if label.all() or not label.any():
            continue
        usual_yes, usual_no = yes[label].mean(), (1 - yes[~label]).mean()
        doubted = np.where(label, (1 - yes >= usual_no) & (yes < 0.5), (yes >= usual_yes) & (yes > 0.5))
        rows = np.flatnonzero(doubted)
        table = {"image": rows, "attribute": attribute, "label": label[rows].astype(int), "probability": yes[rows]}
        found.append(pd.DataFrame(table))
    columns = ["image", "attribute", "label", "probability"]
    table = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=columns)
    surprise = (table["probability"] - table["label"]).abs()
    return table.iloc[np.argsort(-surprise.to_numpy(float), kind="stable")].reset_index(drop=True)
