"""One training step, its optimizer, its learning rates and the EMA; on a GPU the step is a CUDA graph."""

import contextlib
import copy
import os
import warnings
from collections.abc import Callable
from functools import cache, partial

import torch
from torch import nn

from helpers.config import Config
from helpers.system.devices import autocast
from helpers.system.progress import line

EAGER = "CELEBA_STUDY_EAGER"  # an environment variable: if it is set, no training step is recorded
WARM_UP = 3  # eager steps before the recording: in them cuDNN chooses its algorithms and the optimizer makes its state


def build_optimizer(model: nn.Module, config: Config) -> torch.optim.Adam:
    """Return the course's Adam (weight decay as an L2 term) or AdamW, with one fused kernel per step.

    AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019) decays only the weights of
    convolutions and linear layers, not the biases and the parameters of batch norm. On a GPU the learning rate is a
    tensor on the device, so that a recorded step follows the schedule.
    """
    device = next(model.parameters()).device
    lr = torch.tensor(config.lr, device=device) if device.type == "cuda" else config.lr
    if config.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), lr=lr, weight_decay=config.weight_decay, fused=True)
    weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    groups = [{"params": weights, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=lr, fused=True)


def set_lr(optimizer: torch.optim.Optimizer, lr: float):
    """Set the learning rate of all parameter groups."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr


def learning_rates(config: Config, steps: int) -> list[float]:
    """Return the learning rate of each step, and the one after the last: constant, or one cycle with peak `lr`."""
    if config.schedule == "constant":
        return [config.lr] * (steps + 1)
    optimizer = torch.optim.SGD([torch.zeros(1)])
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.lr, total_steps=steps + 1, cycle_momentum=False)
    rates: list = cycle.get_last_lr()
    for _ in range(steps):
        optimizer.step()
        cycle.step()
        rates += cycle.get_last_lr()
    return rates


def batch_loss(model: nn.Module, images, targets, config: Config) -> torch.Tensor:
    """Return the mean binary cross-entropy of a batch, with gradients; label smoothing is applied to the targets."""
    with autocast(images.device, config.precision):
        logits = model(images)
    if config.label_smoothing:
        targets = targets.lerp(torch.full_like(targets, 0.5), config.label_smoothing)
    return nn.functional.binary_cross_entropy_with_logits(logits.float(), targets)


def train_step(model: nn.Module, optimizer, images, targets, config: Config) -> torch.Tensor:
    """Do one step of gradient descent; return the batch's mean loss as a tensor on the device."""
    loss = batch_loss(model, images, targets, config)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach()


def build_step(model: nn.Module, optimizer, config: Config) -> Callable[..., torch.Tensor]:
    """Return `train_step` as a function of images and targets; on a GPU it is a `RecordedStep`, unless EAGER is set."""
    step = partial(train_step, model, optimizer, config=config)
    recorded = next(model.parameters()).is_cuda and not os.environ.get(EAGER)
    return RecordedStep(step, optimizer, config.batch_size) if recorded else step


class WeightAverage:
    """The exponential moving average (EMA) of a model's weights and batch-norm statistics, kept in a second model.

    The decay at update t is min(`decay`, (1 + t) / (10 + t)). This warm-up, from TensorFlow's
    ExponentialMovingAverage, quickly forgets the initial weights. Integer counters are copied, not averaged.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.model, self.decay, self.updates = copy.deepcopy(model), decay, 0
        pairs = list(zip(self.model.state_dict().values(), model.state_dict().values(), strict=True))
        self._floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self._counters = [pair for pair in pairs if not pair[0].is_floating_point()]

    def after(self, step: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        """Return a function that does `step` and then updates the average."""

        def step_and_update(images, targets):
            loss = step(images, targets)
            self.update()
            return loss

        return step_and_update

    @torch.no_grad()
    def update(self):
        """Update the average with the model's current weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        ours, theirs = ([pair[i] for pair in self._floats] for i in (0, 1))
        torch._foreach_lerp_(ours, theirs, 1 - decay)  # one kernel for all tensors, as in torch.optim.swa_utils
        for mine, other in self._counters:
            mine.copy_(other)


class RecordedStep:
    """A training step recorded as a CUDA graph: with 64 images, launching the kernels costs more than their work.

    The first WARM_UP batches of `batch_size` images are trained on eagerly. Then the step is recorded, and replayed for
    every batch of this size. A batch of another size, such as the last one of an epoch, is trained on eagerly. If the
    recording fails, all steps are eager and a message says why. See "Whole-network capture" in PyTorch's notes on
    CUDA semantics.
    """

    def __init__(self, step: Callable[..., torch.Tensor], optimizer: torch.optim.Optimizer, batch_size: int):
        self.step, self.optimizer, self.batch_size = step, optimizer, batch_size
        self.graph: torch.cuda.CUDAGraph | None = None
        self.images = self.targets = self.loss = None  # the graph's inputs and output, at fixed addresses
        self._before = WARM_UP
        self._aside = _recording_stream()

    def __call__(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if len(images) != self.batch_size:
            return self._eager(images, targets)
        if self._before == 0:
            self._record(images, targets)
        self._before -= 1
        if self.graph is None:
            return self._eager(images, targets)
        self.images.copy_(images)
        self.targets.copy_(targets)
        self.graph.replay()
        return self.loss.clone()

    def _eager(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Do the step eagerly, on the recording's stream: a recording needs its warm-up steps on the same stream."""
        current = torch.cuda.current_stream()
        self._aside.wait_stream(current)
        with torch.cuda.stream(self._aside):
            loss = self.step(images, targets)
        current.wait_stream(self._aside)
        return loss

    def _record(self, images: torch.Tensor, targets: torch.Tensor):
        """Record the step without doing it; other threads, which load images, may use the GPU at the same time."""
        self.images, self.targets = images.clone(), targets.clone()
        self.optimizer.zero_grad(set_to_none=True)  # the recording then allocates the gradients in the graph's memory
        graph, current = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            with (
                _capturable(self.optimizer),
                torch.cuda.graph(graph, stream=self._aside, capture_error_mode="thread_local"),
            ):
                self.loss = self.step(self.images, self.targets)
        except RuntimeError as error:
            torch.cuda.set_stream(current)  # older versions of PyTorch leave the recording's stream in its place
            why = str(error.__context__ or error)  # the first error; ending a failed recording raises a second one
            warnings.warn(
                f"The training step could not be recorded as a CUDA graph ({why}). It runs eagerly, which is slower.",
                RuntimeWarning,
                stacklevel=2,
            )
            return
        self.graph = graph
        line(f"The training step is a CUDA graph for batches of {len(images)} images, after {WARM_UP} eager steps.")


@cache
def _recording_stream() -> torch.cuda.Stream:
    """Return the one stream of all recordings: each stream keeps a workspace of its own for cuBLAS."""
    return torch.cuda.Stream()


@contextlib.contextmanager
def _capturable(optimizer: torch.optim.Optimizer):
    """Allow the optimizer's step to be recorded; set permanently, PyTorch would warn at every eager step."""
    for group in optimizer.param_groups:
        group["capturable"] = True
    try:
        yield
    finally:
        for group in optimizer.param_groups:
            group["capturable"] = False
