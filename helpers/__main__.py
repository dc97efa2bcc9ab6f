"""The command line: python -m helpers …"""

import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from helpers.config import SHIPPED
from helpers.errors import StudyError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A notebook study of five CelebA attributes with a small CNN.",
)
data = typer.Typer(no_args_is_help=True, help="Draw the built-in faces; fetch, check and prepare CelebA.")
app.add_typer(data, name="data")

DataRoot = Annotated[str, typer.Option(help='A CelebA folder, or "drawn". Empty: $CELEBA_ROOT, else data/.')]
AllowMissing = Annotated[bool, typer.Option("--allow-missing", help="Read a subset of the listed images.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Language = Annotated[str, typer.Option(help="Of the report: fr or en.")]
Weights = Annotated[Path, typer.Option(help="A checkpoint of this study.", show_default="of a tenth of CelebA")]
Author = Annotated[str, typer.Option(help="On the report's title page.")]

# Imports stand inside the commands: torch and Jupyter take seconds, and --help should not.


@app.command()
def doctor(data_root: DataRoot = ""):
    """Say what will be used: python, torch, GPU, disk, memory, and whether a dataset is found."""
    from helpers.cli.doctor import report_lines

    for name, value in report_lines(data_root):
        typer.echo(f"{name:16s} {value}")


@app.command()
def run(
    profile: Annotated[str, typer.Option(help="demo, quick or full (notebooks/profiles.yaml).")],
    data_root: DataRoot = "",
    run_name: Annotated[str, typer.Option(help="Names the folders; the profile's name when not given.")] = "",
    device: Device = "",
    allow_missing: AllowMissing = False,
    only: Annotated[str, typer.Option(help="Run this notebook alone.")] = "",
    start: Annotated[str, typer.Option("--from", help="Begin with this notebook.")] = "",
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help="NOTEBOOK.PARAMETER=VALUE, repeatable.")
    ] = None,
    language: Language = "fr",
    author: Author = "",
):
    """Run the seven notebooks and the report; the last line is the verdict of the sanity checks."""
    from helpers.checks import read_scorecard, verdict
    from helpers.cli.pipeline import run_study
    from helpers.cli.planning import Study
    from helpers.run import SCORECARD

    study = Study(profile, run_name, data_root, device, allow_missing, only, start, parameter or [])
    folder = run_study(study, language, author)
    line, sound = verdict(read_scorecard(folder / "results" / SCORECARD))
    typer.secho(line, fg=None if sound else typer.colors.RED)


@app.command()
def report(
    run_name: Annotated[str, typer.Option(help="The run to report on.")],
    formats: Annotated[str, typer.Option("--format", help="html, or html,pdf.")] = "html,pdf",
    language: Language = "fr",
    author: Author = "",
):
    """Write runs/NAME/report.html and report.pdf from the run's results, without retraining."""
    from helpers.cli.pipeline import REPORT_FORMATS, make_report
    from helpers.config import known

    wanted = tuple(known(name.strip(), REPORT_FORMATS, "report format") for name in formats.split(","))
    make_report(run_name, wanted, language, author)


@app.command()
def predict(
    paths: Annotated[list[Path], typer.Argument(help="Images, or folders of images.")],
    checkpoint: Weights = SHIPPED,
    csv: Annotated[Path | None, typer.Option(help="Where to write the table; the terminal when not given.")] = None,
    device: Device = "auto",
):
    """Answer the five questions for images of any size and mode, as a CSV."""
    from helpers.cli.predict import find_images, predict_images
    from helpers.models.checkpoints import load_checkpoint
    from helpers.system.devices import choose_device
    from helpers.system.files import write_text

    loaded = load_checkpoint(checkpoint)
    if checkpoint == SHIPPED:
        typer.echo(f"answered by {checkpoint.name}: non-commercial research only, see its card beside it", err=True)
    table, complaints = predict_images(loaded, find_images(paths), choose_device(device))
    text = table.to_csv(index=False, float_format="%.4f", lineterminator="\n")
    if csv:
        write_text(csv, text)
        typer.echo(f"{len(table):,} images: {csv}")
    else:
        typer.echo(text, nl=False)
    for complaint in complaints:
        typer.echo(f"left out: {complaint}", err=True)
    if complaints:
        raise typer.Exit(1)


@app.command("export-onnx")
def export_onnx_file(
    checkpoint: Weights = SHIPPED,
    onnx: Annotated[Path | None, typer.Option(help="The file to write; beside the checkpoint when not given.")] = None,
):
    """Write a checkpoint as ONNX: images (N, 3, 64, 64) in [-1, 1] -> logits (N, 5)."""
    from helpers.models.checkpoints import load_checkpoint
    from helpers.models.onnx import export_onnx

    path = onnx or checkpoint.with_suffix(".onnx")
    difference = export_onnx(load_checkpoint(checkpoint), path)
    typer.echo(f"{path}: its logits differ from torch's by {difference:.1e} at most")


@data.command()
def draw(
    root: Annotated[Path | None, typer.Option(help="Folder to draw into; data/drawn when not given.")] = None,
    count: Annotated[int, typer.Option(help="Number of faces.")] = 2400,
    seed: Annotated[int, typer.Option(help="Another seed draws other people.")] = 0,
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
    json: Annotated[
        Path | None, typer.Option(help="Where to write it as JSON; beside the cache when not given.")
    ] = None,
):
    """Compare a copy with the official CelebA: 0 sound, 1 usable with remarks, 2 not usable."""
    from helpers.cli.doctor import check_data

    try:
        status = check_data(data_root, json)
    except Exception as error:
        traceback.print_exc()  # Python would exit with 1, which says: usable
        raise typer.Exit(2) from error
    raise typer.Exit(status)


@data.command()
def fetch(
    source: Annotated[
        str, typer.Option("--from", help="torchvision, huggingface, kaggle or a URL; each in turn if not given.")
    ] = "",
    to: Annotated[Path | None, typer.Option(help="Where to put it; data/celeba when not given.")] = None,
):
    """Download CelebA, verify it and put it in place; a download that was cut off is continued."""
    from helpers.data.fetch import fetch as fetch_celeba

    typer.echo(f"CelebA is in {fetch_celeba(source, to)}")


@data.command()
def prepare(
    data_root: Annotated[str, typer.Argument(help='A CelebA folder, or "drawn".')] = "",
    allow_missing: AllowMissing = False,
):
    """Build the 64x64 image cache."""
    from helpers.data import cache, celeba

    dataset = celeba.open_dataset(data_root, allow_missing)
    typer.echo(f"{len(dataset.annotations):,} images: {cache.prepare(dataset)}")


def main() -> int:
    """Run the command line; a user's mistake is told in words, without a traceback."""
    try:
        app(standalone_mode=True)
    except StudyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
