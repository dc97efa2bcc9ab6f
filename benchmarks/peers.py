"""The peers: Lightning and fastai, each training a given model from a given DataLoader its usual way, and timed.

Both come with the extra `bench`; where one is not installed, its rows are left out.
"""

import logging
import time
import warnings
from importlib import metadata

import torch
from torch import nn

LOSS = nn.functional.binary_cross_entropy_with_logits
ADAM = {"lr": 0.005, "weight_decay": 1e-5}


def version(package: str) -> str:
    """Return the version installed; empty where there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def lightning_epoch(model: nn.Module, batches) -> float:
    """Train two epochs with Lightning's Trainer; return the second's seconds: the first starts the workers anew."""
    import lightning

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = model

        def training_step(self, batch, index):
            images, targets = batch
            loss = LOSS(self.model(images), targets)
            self.log("train_loss", loss, on_step=False, on_epoch=True)
            return loss

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), **ADAM)

    class Clock(lightning.Callback):
        def on_train_epoch_start(self, trainer, module):
            self.started = time.perf_counter()

        def on_train_epoch_end(self, trainer, module):
            self.seconds = time.perf_counter() - self.started

    clock = Clock()
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    lightning.Trainer(accelerator="cpu", max_epochs=2, callbacks=[clock], **quiet).fit(Module(), batches)
    return clock.seconds


def fastai_epoch(model: nn.Module, batches) -> float:
    """Train two epochs with fastai's Learner; return the second's seconds, validation left out."""
    from fastai.callback.core import Callback
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner
    from fastai.optimizer import Adam

    class Clock(Callback):
        def before_train(self):
            self.started = time.perf_counter()

        def after_train(self):
            self.seconds = time.perf_counter() - self.started

    clock = Clock()
    learner = Learner(
        DataLoaders(batches, []), model, loss_func=LOSS, opt_func=Adam, lr=ADAM["lr"], wd=ADAM["weight_decay"]
    )
    with learner.no_logging():
        learner.fit(2, cbs=[clock])
    return clock.seconds
