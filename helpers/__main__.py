"""The command line: python -m helpers …"""

import io
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from helpers.config import SHIPPED
from helpers.errors import Interrupted, StudyError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A notebook study of five CelebA attributes with a small CNN.",
)
data = typer.Typer(no_args_is_help=True, help="Draw the built-in faces; fetch, check and prepare CelebA.")
app.add_typer(data, name="data")

DataRoot = Annotated[str, typer.Option(help='A CelebA folder, or "drawn". If empty: $CELEBA_ROOT, else data/.')]
AllowMissing = Annotated[bool, typer.Option("--allow-missing", help="Read a subset of the listed images.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Language = Annotated[str, typer.Option(help="Language of the report: fr or en.")]
Weights = Annotated[
    Path, typer.Option(help="A checkpoint of this study.", show_default="the network trained on a third of CelebA")
]
Author = Annotated[str, typer.Option(help="Name on the title page of the report.")]
Course = Annotated[str, typer.Option(help="Course on the title page of the report.")]
Repository = Annotated[str, typer.Option(help="Address of the code on the title page of the report.")]

# Each command imports what it needs: importing torch and Jupyter takes seconds, and --help should be fast.


@app.command()
def doctor(data_root: DataRoot = ""):
    """Print what a run will use: Python, torch, GPU, disk, memory, and whether a dataset is found."""
    from helpers.cli.doctor import report_lines

    for name, value in report_lines(data_root):
        typer.echo(f"{name:16s} {value}")


@app.command()
def run(
    profile: Annotated[str, typer.Option(help="demo, quick or full (notebooks/profiles.yaml).")],
    data_root: DataRoot = "",
    run_name: Annotated[str, typer.Option(help="Name of the run's folders; by default the profile's name.")] = "",
    device: Device = "",
    allow_missing: AllowMissing = False,
    only: Annotated[str, typer.Option(help="Run only this notebook.")] = "",
    start: Annotated[str, typer.Option("--from", help="Start with this notebook, done or not.")] = "",
    fresh: Annotated[bool, typer.Option("--fresh", help="Do everything again, also what is done.")] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Exit with 0 even if sanity checks found faults.")
    ] = False,
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help="NOTEBOOK.PARAMETER=VALUE; may be repeated.")
    ] = None,
    language: Language = "fr",
    author: Author = "",
    course: Course = "",
    repository: Repository = "",
):
    """Run the eight notebooks and the report; the last line printed is the verdict of the sanity checks.

    Notebooks that are done are not executed again: after an interruption, the same command continues. The exit status
    is 1 if a check found a fault, 2 after an error, and 130 or 143 after an interruption.
    """
    from helpers.cli.kernels import Kernels
    from helpers.cli.pipeline import run_study
    from helpers.cli.planning import Study, chosen
    from helpers.cli.reporting import make_report
    from helpers.run import SCORECARD
    from helpers.scorecard import read_scorecard, verdict

    study = Study(profile, run_name, data_root, device, allow_missing, only, start, fresh, parameter or [])
    with Kernels() as kernels:
        folder = run_study(study, kernels)
        if not only:
            title_page = {"language": language, "author": author, "course": course, "repository": repository}
            make_report(folder.name, title_page, kernels=kernels)
    line, sound = verdict(read_scorecard(folder / "results" / SCORECARD), chosen(study))
    typer.secho(line, fg=None if sound else typer.colors.RED)
    if not sound and not keep_going:
        raise typer.Exit(1)


@app.command()
def report(
    runs: Annotated[list[str] | None, typer.Argument(help="The run to report on; with --compare, two or more.")] = None,
    formats: Annotated[str, typer.Option("--format", help="One or more of html, pdf, md, docx.")] = "html,pdf",
    language: Language = "fr",
    author: Author = "",
    course: Course = "",
    repository: Repository = "",
    notebooks: Annotated[bool, typer.Option("--notebooks", help="Export the executed notebooks as pages.")] = False,
    compare: Annotated[bool, typer.Option("--compare", help="Set the named runs side by side.")] = False,
):
    """Write runs/NAME/report.html and report.pdf from the results of a run, without training again."""
    from helpers.cli import reporting
    from helpers.config import known

    names = runs or []
    if not names or (len(names) > 1 and not compare):
        raise StudyError("Name one run: python -m helpers report NAME; or set several side by side with --compare.")
    wanted = tuple(known(name.strip(), reporting.REPORT_FORMATS, "report format") for name in formats.split(","))
    if compare:
        reporting.compare(names, wanted, language)
    elif notebooks:
        reporting.export_site(names[0], language)
    else:
        title_page = {"language": language, "author": author, "course": course, "repository": repository}
        reporting.make_report(names[0], title_page, wanted)


@app.command()
def predict(
    paths: Annotated[list[Path], typer.Argument(help="Images, or folders of images.")],
    checkpoint: Weights = SHIPPED,
    csv: Annotated[
        Path | None, typer.Option(help="CSV file to write; by default the table is printed, as CSV if piped.")
    ] = None,
    device: Device = "auto",
):
    """Predict the five attributes of images of any size and mode; the exit status is 1 if any file is left out."""
    from helpers.cli.predict import about_unfamiliar, as_csv, as_text, find_images, predict_images
    from helpers.models.checkpoints import load_checkpoint
    from helpers.system.devices import choose_device
    from helpers.system.files import write_text

    loaded = load_checkpoint(checkpoint)
    images, left_out = find_images(paths)
    if checkpoint == SHIPPED:
        typer.echo(
            f"Network: {checkpoint.name}, for non-commercial research only (see the model card beside it).", err=True
        )
    table, problems = predict_images(loaded, images, choose_device(device))
    if csv:
        write_text(csv, as_csv(table))
        typer.echo(f"{len(table):,} images: {csv}")
    else:
        typer.echo(as_text(table) if sys.stdout.isatty() else as_csv(table), nl=False)
    if unfamiliar := about_unfamiliar(table, loaded):
        typer.echo(unfamiliar, err=True)
    for problem in left_out + problems:
        typer.echo(f"Left out: {problem}", err=True)
    if left_out or problems:
        raise typer.Exit(1)


@app.command("export-onnx")
def export_onnx_file(
    checkpoint: Weights = SHIPPED,
    onnx: Annotated[Path | None, typer.Option(help="File to write; by default beside the checkpoint.")] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Quantise to 8 bits; the train images of --data-root set the ranges.")
    ] = False,
    data_root: DataRoot = "",
    allow_missing: AllowMissing = False,
):
    """Write a checkpoint as ONNX: images (N, 3, 64, 64) in [-1, 1] -> logits (N, 5)."""
    from helpers.models.checkpoints import load_checkpoint
    from helpers.models.onnx import export_onnx

    if int8:
        _export_int8(checkpoint, onnx or checkpoint.with_suffix(".int8.onnx"), data_root, allow_missing)
        return
    path = onnx or checkpoint.with_suffix(".onnx")
    difference = export_onnx(load_checkpoint(checkpoint), path)
    typer.echo(f"{path}: its logits differ from torch's by {difference:.1e} at most")


def _export_int8(checkpoint: Path, path: Path, data_root: str, allow_missing: bool):
    import torch

    from helpers.data.batches import load_split
    from helpers.data.celeba import open_dataset
    from helpers.models.checkpoints import load_checkpoint
    from helpers.models.onnx import CALIBRATED_ON, export_int8

    loaded, dataset = load_checkpoint(checkpoint), open_dataset(data_root, allow_missing)
    images = load_split(dataset, "train", torch.device("cpu"), CALIBRATED_ON).images
    agreement = export_int8(loaded, path, images)
    typer.echo(f"{path}: int8; {agreement:.1%} of its answers about {len(images):,} train images are those of fp32")


@data.command()
def draw(
    root: Annotated[Path | None, typer.Option(help="Folder to draw into; by default data/drawn.")] = None,
    count: Annotated[int, typer.Option(help="Number of faces.")] = 2400,
    seed: Annotated[int, typer.Option(help="A different seed draws different people.")] = 0,
):
    """Draw the built-in faces, in CelebA's own file formats."""
    from helpers.config import DATA
    from helpers.data.celeba import DRAWN
    from helpers.data.drawn.faces import draw_dataset

    folder = root or DATA / DRAWN
    draw_dataset(folder, count, seed)
    typer.echo(f"{count:,} drawn faces: {folder}")


@data.command()
def check(
    data_root: Annotated[str, typer.Argument(help='A CelebA folder, or "drawn".')] = "",
    json: Annotated[Path | None, typer.Option(help="JSON file to write; by default beside the cache.")] = None,
):
    """Compare a copy with the official CelebA; the exit status is 0: sound, 1: usable with remarks, 2: not usable."""
    from helpers.cli.doctor import check_data

    try:
        status = check_data(data_root, json)
    except Exception as error:
        traceback.print_exc()  # Python would exit with 1, which means usable
        raise typer.Exit(2) from error
    raise typer.Exit(status)


@data.command()
def fetch(
    source: Annotated[
        str, typer.Option("--from", help="torchvision, huggingface, kaggle or a URL; by default each in turn.")
    ] = "",
    to: Annotated[Path | None, typer.Option(help="Folder to put it in; by default data/celeba.")] = None,
):
    """Download CelebA, verify it and put it in place; continue an interrupted download."""
    from helpers.data.fetch import fetch as fetch_celeba

    typer.echo(f"CelebA is in {fetch_celeba(source, to)}")


@data.command()
def prepare(
    data_root: Annotated[str, typer.Argument(help='A CelebA folder, or "drawn".')] = "",
    allow_missing: AllowMissing = False,
):
    """Build the cache of 64x64 images."""
    from helpers.data import cache, celeba

    dataset = celeba.open_dataset(data_root, allow_missing)
    typer.echo(f"{len(dataset.annotations):,} images: {cache.prepare(dataset)}")


def main() -> int:
    """Run the command line and return its exit status; print a user's mistake as a message, without a traceback."""
    # Threads that wait for each other soon sleep. By default they keep a core busy, up to milliseconds per operation,
    # which makes training slower where other programs run too. PyTorch's OpenMP reads this when it is imported: GNU's
    # counts the turns of a waiting loop, others know the first variable only. See benchmarks/cpu.py.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A pipe on Windows may lack characters that are printed: they are escaped, and the command goes on.
            stream.reconfigure(errors="backslashreplace")
    try:
        app(standalone_mode=True)
    except StudyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Interrupted as interruption:
        print(f"\n{interruption}", file=sys.stderr)
        return 128 + interruption.number  # as a shell has it: 130 or 143
    return 0


if __name__ == "__main__":
    sys.exit(main())
