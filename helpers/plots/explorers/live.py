"""What a notebook shows of work in progress: one output that is updated in place, and that outlives the kernel."""

import html
import io
import time

import pandas as pd
from IPython.display import HTML, display
from tqdm.std import tqdm

from helpers.plots.explorers.explorer import View, as_html, png
from helpers.plots.training import plot_history
from helpers.system.progress import Shown

DELAY = 1.0  # seconds before anything is shown: what is done sooner needs no progress
REFRESH = 0.5  # seconds between two updates
PATIENCE = 20  # a figure is drawn again after so many times the time that drawing it took
ROWS = 8  # of the table of epochs, the latest
COLUMNS = {
    "train_loss": "train loss",
    "val_loss": "valid loss",
    "val_f1": "valid micro-F1",
    "val_acc": "valid accuracy",
    "seconds": "seconds",
}


class Bar(tqdm):
    """A progress bar as HTML, without a widget. When it is closed, a line with the time that it took is left."""

    monitor_interval = 0  # no second thread that draws
    current: "Bar | None" = None  # the outermost bar that is shown

    def __init__(self, *arguments, **options):
        self.handle, self.ended = None, False
        super().__init__(*arguments, file=io.StringIO(), delay=DELAY, **options)
        if not self.disable and Bar.current is None:
            Bar.current = self

    def display(self, msg=None, pos=None):
        if self.ended or (Bar.current is not None and Bar.current is not self):
            return
        facts = self.format_dict
        seen, unit = f"{facts['n']:,}", facts["unit"]
        of = f" of {facts['total']:,}" if facts["total"] else ""
        left = (facts["total"] - facts["n"]) / facts["rate"] if facts["total"] and facts["rate"] else None
        text = f"{facts['prefix']}: {seen}{of} {unit}{_time_left(left)} {facts['postfix'] or ''}"
        self._show(_progress(text, facts["n"], facts["total"]))

    def close(self):
        if self.disable:
            return
        if self.handle:
            took = _duration(self.format_dict["elapsed"])
            self._show(f"<div>{html.escape(f'{self.desc}: {self.n:,} {self.unit} in {took}')}</div>")
        self.ended = True
        Bar.current = None if Bar.current is self else Bar.current
        super().close()

    def _show(self, content: str):
        if self.handle is None:
            self.handle = display(HTML(content), display_id=True)
        else:
            self.handle.update(HTML(content))


class Training(Shown):
    """The curves and the latest epochs of a training, the time left, and a button that ends it after the epoch.

    Within a bar (the trials of a grid), a training is a few words beside the bar.
    """

    def __init__(self, label: str, epochs: int, steps: int, can_continue: bool):
        self.label, self.epochs, self.steps, self.can_continue = label, epochs, steps, can_continue
        self.outer, self.stopped = Bar.current, False
        self.rows: list[dict] = []
        self.before = self.done = 0  # steps: of epochs that an earlier call trained, and of this call
        self.started = self.updated = time.perf_counter()
        self.curves, self.drawn, self.drawing = "", 0.0, 0.0  # the figure as HTML, when it was drawn, and in what time
        self.handle = self.text = self.button = None

    def __exit__(self, kind, *error):
        if self.handle:
            self._draw()
            details = f"<details><summary>{html.escape(self._summary(kind))}</summary>{self.curves}</details>"
            self.handle.update(HTML(details))  # instead of the widgets, which end with the kernel

    def begin(self, rows: list[dict]):
        self.rows = list(rows)
        self.before = len(rows) * self.steps

    def after_step(self):
        self.done += 1
        if time.perf_counter() - self.updated > REFRESH:
            self._update()

    def after_epoch(self, row: dict):
        self.rows.append(row)
        now = time.perf_counter()
        if now - self.drawn > PATIENCE * self.drawing and now - self.started > DELAY and not self.outer:
            self._draw()
        self._update()

    def _update(self):
        """Show what has changed, once the training has taken long enough to be worth it."""
        self.updated = time.perf_counter()
        if self.outer is not None:
            self.outer.set_postfix_str(f"({self.label}, epoch {min(len(self.rows) + 1, self.epochs)})", refresh=False)
            self.outer.refresh()
        elif self.updated - self.started > DELAY:
            if self.handle is None:
                self._open()
            self.text.value = _progress(self._now(), self.before + self.done, self.epochs * self.steps) + self.curves

    def _open(self):
        from ipywidgets import HTML as Text
        from ipywidgets import Button, VBox

        self.text = Text()
        self.button = Button(description="Stop after this epoch", icon="stop", layout={"width": "max-content"})
        self.button.on_click(self._stop)
        self.handle = display(VBox([self.button, self.text]), display_id=True)
        # ipykernel 7.4 sends a click to the thread that made the button, which is busy until the cell ends. Without
        # this attribute, the click goes where JupyterLab asks: to a subshell.
        vars(self.button.comm).pop("_reply_subshell_id", None)

    def _stop(self, button):
        """Note the wish. JupyterLab handles the click while the cell runs, in a thread of its own (a subshell)."""
        self.stopped = True
        button.disabled, button.description = True, "Stops after this epoch"

    def _draw(self):
        """Draw the curves and the table again."""
        if not self.rows:
            return
        self.drawn = time.perf_counter()
        history = pd.DataFrame(self.rows)
        if history["val_loss"].notna().any():
            figure = plot_history(history)
            last = self.rows[-1]
            says = f"Epoch {last['epoch']}: train loss {last['train_loss']:.4f}, valid loss {last['val_loss']:.4f}."
            self.curves = as_html(View(figure, says, _latest(history)), png(figure, bbox_inches="tight"))
        self.drawing = time.perf_counter() - self.drawn

    def _now(self) -> str:
        spent = time.perf_counter() - self.started
        left = spent / self.done * (self.epochs * self.steps - self.before - self.done) if self.done else None
        epoch = min(len(self.rows) + 1, self.epochs)
        return f"{self.label}: epoch {epoch} of {self.epochs}{_time_left(left)}"

    def _summary(self, kind) -> str:
        """Return the line that is left when the training has ended."""
        epochs = f"{self.label}: {len(self.rows)} of {self.epochs} epochs"
        took = f" in {_duration(time.perf_counter() - self.started)}"
        losses = [row for row in self.rows if row["val_loss"] == row["val_loss"]]
        best = min(losses, key=lambda row: row["val_loss"], default=None)
        found = f"; lowest valid loss {best['val_loss']:.4f} at epoch {best['epoch']}" if best else ""
        more = ""
        if self.stopped or kind is not None:
            again = (
                "To continue, run this cell again."
                if self.can_continue
                else "To train it to the end, run this cell again."
            )
            more = f" It was {'stopped' if self.stopped else 'interrupted'}. {again}"
        return f"{epochs}{took}{found}.{more}"


def _latest(history: pd.DataFrame) -> pd.DataFrame:
    """Return the latest epochs, with the names of the columns in words."""
    columns = {name: text for name, text in COLUMNS.items() if name in history}
    table = history[["epoch", *columns]].rename(columns=columns).tail(ROWS).iloc[::-1].reset_index(drop=True)
    return table.assign(seconds=table["seconds"].map("{:.1f}".format)).round(4)


def _progress(text: str, done: int, total: int | None) -> str:
    """Return a bar with a text as HTML; without a total, the bar only shows that work goes on."""
    place = f'value="{done}" max="{total}"' if total else ""
    label = html.escape(text)
    return (
        f'<div>{label}<br><progress {place} aria-label="{label}" style="width: 100%; max-width: 40em"></progress></div>'
    )


def _time_left(seconds: float | None) -> str:
    return "" if seconds is None else f" · about {_duration(seconds)} left"


def _duration(seconds: float) -> str:
    """Return a duration as a person says it: 8 s, 3 min 20 s, 2 h 5 min."""
    seconds = max(1, round(seconds))
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"
