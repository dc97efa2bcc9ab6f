"""The benchmarks compare like with like: the plain way is the same study, and a ratio above 1 is faster."""

import io
import json
import sys
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.config import ROOT, Config
from helpers.data import augmentation
from helpers.data.batches import denormalise
from helpers.data.celeba import open_dataset
from helpers.data.decoding import decode
from helpers.errors import StudyError
from helpers.evaluation.metrics import probabilities
from helpers.models.networks import COURSE_PARAMETERS, CourseCNN, build_for, count_parameters
from helpers.report.published import measured_steps
from helpers.training.loop import predict_logits

sys.path.insert(0, str(ROOT / "benchmarks"))
import accuracy
import arms
import cpu
import explorers
import gpu
import ideas
import latency
import plain
import publish
import speed
from arms import Arm
from ideas import IDEAS

pytestmark = pytest.mark.slow

PROMISED = {
    *("input_batches", "input_batches_fast", "train_step_cpu", "epoch_cpu", "epoch_cpu_fp32"),
    *("trainer_overhead", "cache_build", "demo"),
}


def test_the_plain_network_is_the_courses():
    torch.manual_seed(0)
    theirs = plain.PlainCNN().eval()
    ours = CourseCNN().eval()
    weights = zip(ours.state_dict(), theirs.state_dict().values(), strict=True)
    ours.load_state_dict(dict(weights))
    images = torch.randn(4, 3, 64, 64)
    assert count_parameters(ours) == count_parameters(theirs)
    assert torch.allclose(ours(images), theirs(images), atol=1e-5)


def test_the_plain_input_is_the_caches(drawn):
    file = next((drawn / "img_align_celeba").glob("*.jpg"))
    theirs = denormalise(plain.transform(augmented=False)(Image.open(io.BytesIO(file.read_bytes()))))
    difference = np.abs(theirs.numpy() * 255 - decode(file.read_bytes(), "here"))
    assert difference.mean() < 1 and difference.max() <= 40  # decoded at half scale: an edge may differ


def test_every_promised_row_is_measured():
    assert {row.name for row in speed.ROWS} >= PROMISED


@pytest.mark.parametrize(
    ("unit", "plain_samples", "our_samples"),
    [("images/s", [50, 60, 55], [110, 90, 120]), ("s", [4, 5, 6], [2, 2.5, 3])],
)
def test_a_ratio_is_that_of_the_medians_and_above_one_where_ours_is_faster(unit, plain_samples, our_samples):
    row = speed.Row("x", unit, lambda: 1.0, lambda: 1.0)
    result = speed.summarise(row, plain_samples, our_samples)
    assert result["ratio"] == pytest.approx(2) and result["spread"][0] <= 2 <= result["spread"][1]
    assert result["samples_ours"] == our_samples


def turn(path, side: str) -> float:
    """Write down whose turn it is, and return how many turns there were before."""
    with open(path, "a+") as file:
        file.write(f"{side}\n")
        file.seek(0)
        return float(len(file.readlines()) - 1)


def test_repeats_take_turns_and_the_warm_up_is_dropped(tmp_path):
    row = speed.Row("x", "images/s", *(partial(turn, tmp_path / "turns", side) for side in ("plain", "ours")))
    assert speed.measure([row], 3) == {"x": ([2.0, 4.0, 6.0], [3.0, 5.0, 7.0])}
    assert (tmp_path / "turns").read_text().split() == ["plain", "ours"] * 4


def test_latency_takes_turns_and_drops_its_warm_up():
    order = []
    sides = {("one", "torch"): lambda: order.append(1), ("other", "torch"): lambda: order.append(2)}
    samples = latency.measure(sides, 20)
    assert order == [1, 2] * 22 and [len(times) for times in samples.values()] == [20, 20]


@pytest.mark.parametrize("channels_last", [True, False])
def test_a_way_of_training_on_a_cpu_is_measured_in_its_layout(channels_last):
    sampler = cpu.Sampler(cpu.Way("compact", batch_size=2, channels_last=channels_last))
    speed, cost = sampler.sample(3)
    images, _ = sampler.batch
    assert speed > 0 and cost > 0 and images.is_contiguous(memory_format=torch.channels_last) == channels_last


# Accuracy


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """Four small arms in place of the real ones, on 64 images per split; the list of what was trained."""
    course = Config(channels_block3=8, batch_size=32, max_epochs=2)
    settled = course.but(optimizer="adamw")
    small = {
        "course": Arm(course, "the beginning"),
        "settled": Arm(settled, "another recipe", over="course"),
        "mirrored": Arm(settled.but(ema=0.9, mirror=True), "average and mirror", over="settled"),
        "taught": Arm(course, "teachers", over="course", teachers="course"),
    }
    for module in (accuracy, arms):
        monkeypatch.setattr(module, "ARMS", small)
        monkeypatch.setattr(module, "SEEDS", (1, 2))
    monkeypatch.setattr(arms, "FOLDER", tmp_path / "checkpoints")
    monkeypatch.setattr(accuracy, "load_split", partial(accuracy.load_split, limit=64))
    trainings, fit = [], arms.fit
    monkeypatch.setattr(
        arms, "fit", lambda *given, **named: trainings.append((named["label"], given)) or fit(*given, **named)
    )
    return trainings


def measure(drawn, tmp_path, *options: str) -> dict[str, dict]:
    """Run accuracy.py on drawn faces; return its arms."""
    file = tmp_path / "accuracy.json"
    accuracy.main(["--data-root", str(drawn), "--json", str(file), *options])
    return {arm["arm"]: arm for arm in json.loads(file.read_text())["arms"]}


def test_an_arm_is_trained_once_per_seed_and_test_is_opened_once_when_it_has_them_all(trained, drawn, tmp_path):
    course = measure(drawn, tmp_path, "--arms", "course", "--seeds", "1", "--open-test")["course"]
    assert "test_opened" not in course and course["seeds"] == [1]
    course = measure(drawn, tmp_path, "--arms", "course", "--seeds", "1", "2", "--open-test")["course"]
    assert [label for label, _ in trained] == ["course seed 1", "course seed 2"] and "test_opened" in course
    found = measure(drawn, tmp_path, "--arms", "course,settled", "--seeds", "1", "2", "--open-test")
    assert len(trained) == 4 and found["course"]["test_opened"] == course["test_opened"]
    settled = found["settled"]
    scores = [row["test"]["mean_accuracy"] for row in settled["per_seed"]]
    assert settled["test_mean_accuracy"] == pytest.approx(np.mean(scores))
    gain = settled["test_mean_accuracy"] - course["test_mean_accuracy"]  # the course's was opened in an earlier call
    assert settled["above_course"]["value"] == pytest.approx(gain)
    assert settled["above_course"]["low"] <= gain <= settled["above_course"]["high"]


def test_results_on_other_images_are_not_mixed(trained, drawn, tmp_path):
    measure(drawn, tmp_path, "--arms", "course", "--seeds", "1")
    file = tmp_path / "accuracy.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"split_sizes": {"train": 7}}))
    with pytest.raises(StudyError, match=r"holds results on .*Name another file with --json"):
        measure(drawn, tmp_path, "--arms", "course", "--seeds", "1")
    file.unlink()
    (arms.FOLDER / "dataset.txt").write_text("another")
    with pytest.raises(StudyError, match="holds trainings on other images"):
        measure(drawn, tmp_path, "--arms", "course", "--seeds", "1")
    assert len(trained) == 1


def test_a_step_is_compared_with_the_arm_before_it_on_the_seeds_of_both(trained, drawn, tmp_path):
    measure(drawn, tmp_path, "--arms", "course", "--seeds", "1", "2")
    found = measure(drawn, tmp_path, "--arms", "settled", "--seeds", "2")
    gain, rows = found["settled"]["gain"], found["course"]["per_seed"]
    assert gain["over"] == "course" and gain["seeds"] == [2] and "gain" not in found["course"]
    for metric in ("mean_accuracy", "loss"):
        difference = found["settled"]["per_seed"][0]["valid"][metric] - rows[1]["valid"][metric]
        assert gain[metric]["value"] == pytest.approx(difference)
    table = measured_steps(tmp_path / "accuracy.json")
    assert list(table.index) == ["course", "settled"] and table.loc["settled", "adds"] == "another recipe"
    assert table["compared"].tolist() == [0, 1]  # the course has two seeds, one of them in common
    assert table.loc["settled", "gain"] == pytest.approx(gain["mean_accuracy"]["value"])
    assert "gain" not in measure(drawn, tmp_path, "--arms", "taught", "--seeds", "3")["taught"]  # no seed in common


def test_a_measured_step_stands_where_its_checkpoints_are_not_as_in_a_fresh_clone(trained, drawn, tmp_path, capsys):
    before = measure(drawn, tmp_path, "--arms", "course,settled", "--seeds", "1")["settled"]["gain"]
    for file in arms.FOLDER.iterdir():
        file.unlink()
    capsys.readouterr()
    assert measure(drawn, tmp_path, "--arms", "course,settled", "--seeds", "1")["settled"]["gain"] == before
    assert len(trained) == 2 and "settled: not compared anew" in capsys.readouterr().out


def test_arms_that_look_on_share_a_training_and_are_each_what_they_would_be_alone(trained, drawn, tmp_path):
    together = measure(drawn, tmp_path, "--arms", "settled,mirrored", "--seeds", "1")
    assert [label for label, _ in trained] == ["settled+mirrored seed 1"]
    (tmp_path / "accuracy.json").unlink()
    for name in ("settled", "mirrored"):
        alone = measure(drawn, tmp_path, "--arms", name, "--seeds", "1")[name]
        assert alone["per_seed"][0]["valid"] == together[name]["per_seed"][0]["valid"]
    assert together["mirrored"]["mflop"] == pytest.approx(2 * together["settled"]["mflop"])


def test_the_taught_learn_the_mean_answer_of_their_teachers(trained, drawn, tmp_path):
    measure(drawn, tmp_path, "--arms", "course", "--seeds", "1", "2")
    measure(drawn, tmp_path, "--arms", "taught", "--seeds", "1")
    (_, (_, ordinary, *_)), (label, (_, learnt, *_)) = trained[0], trained[2]
    logits = [arms.answers(f"course-{seed}", ordinary) for seed in (1, 2)]
    assert label == "taught seed 1" and set(ordinary.targets.unique().tolist()) == {0, 1}
    assert np.allclose(learnt.targets.numpy(), probabilities(np.mean(logits, axis=0)), atol=1e-6)


def test_the_taught_of_all_attributes_learn_their_teachers_answers_to_all(trained, drawn, tmp_path):
    small = accuracy.ARMS
    compact = Config(arch="compact", mirror=True, batch_size=32, max_epochs=1)
    small["course"] = Arm(compact, "all attributes", ideas=("all attributes",))
    small["taught"] = Arm(compact, "teachers", teachers="course", ideas=("all attributes", "mild augmentation"))
    measure(drawn, tmp_path, "--arms", "course", "--seeds", "1", "2")
    measure(drawn, tmp_path, "--arms", "taught", "--seeds", "1")
    (_, (_, ordinary, *_)), (_, (_, learnt, *_)) = trained[0], trained[2]
    assert ordinary.targets.shape == learnt.targets.shape == (len(learnt), 70)
    logits = [np.load(arms.all_answers(f"course-{seed}")) for seed in (1, 2)]
    assert np.allclose(learnt.targets.numpy(), probabilities(np.mean(logits, axis=0)), atol=1e-6)
    answers = [probabilities(each) for each in logits]
    five = [probabilities(arms.answers(f"course-{seed}", ordinary)) for seed in (1, 2)]  # of the saved networks
    assert np.allclose(np.array(answers)[..., :5], five, atol=1e-5)
    arms.all_answers("course-2").unlink()
    with pytest.raises(StudyError, match=r"course-2-all\.npy"):
        measure(drawn, tmp_path, "--arms", "taught", "--seeds", "2")


def test_a_published_network_has_a_card_of_its_own_figures_beside_the_courses(trained, drawn, tmp_path, monkeypatch):
    found = measure(drawn, tmp_path, "--arms", "course,settled", "--seeds", "1", "2", "--open-test")
    monkeypatch.setattr(publish, "SEEDS", (1, 2))
    monkeypatch.setattr(publish, "FOLDER", arms.FOLDER)
    path, settled = tmp_path / "kept.pt", found["settled"]
    publish.publish("settled", found, open_dataset(str(drawn)), path)
    ours, theirs = (torch.load(file, weights_only=True) for file in (path, arms.checkpoint("settled-1")))
    assert all(torch.equal(tensor, theirs["model"][key]) for key, tensor in ours["model"].items())
    assert ours["trained_on"] == "drawn faces"
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    for value in (settled["per_seed"][0]["test"]["loss"], settled["test_loss"], found["course"]["test_loss"]):
        assert f"{value:.4f}" in card
    assert f"{settled['above_course']['value']:+.4f}" in card


def test_mild_augmentation_turns_less_and_only_while_it_is_tried():
    generator = torch.Generator().manual_seed(0)
    with IDEAS["mild augmentation"]():
        mild = augmentation.draw_augmentation(500, generator)
    usual = augmentation.draw_augmentation(500, generator)
    assert 4 < mild.degrees.abs().max() <= 5 and 14 < usual.degrees.abs().max() <= 15
    assert mild.hue.abs().max() <= 0.02 < usual.hue.abs().max()


def test_mixup_blends_images_and_targets_by_the_same_shares(monkeypatch):
    images = torch.arange(8.0).view(8, 1, 1, 1).expand(8, 3, 2, 2)
    monkeypatch.setattr(ideas, "training_batches", lambda *given: iter([(images, images[:, 0, 0, :1])]))
    ((blended, targets),) = ideas.mixed_batches(None, 8, torch.Generator().manual_seed(0))
    assert torch.allclose(blended[:, 0, 0, :1], targets) and not torch.equal(targets, targets.round())


def test_a_network_that_learnt_all_attributes_is_one_of_five_again():
    config = Config(arch="compact", mirror=True)
    wide, network = build_for(config, torch.device("cpu")), build_for(config, torch.device("cpu"))
    wide.network.head = ideas.AllAttributes(wide.network.head)
    images = torch.randn(2, 3, 64, 64)
    assert wide.train()(images).shape == (2, 70) and wide.eval()(images).shape == (2, 5)
    network.load_state_dict(ideas.only_the_five(wide.state_dict()))
    assert torch.equal(network.eval()(images), wide(images))


def test_no_arm_has_more_parameters_than_the_course_and_the_first_is_its_recipe():
    teachers = {arm.teachers for arm in accuracy.ARMS.values()}
    for name, arm in accuracy.ARMS.items():
        parameters = count_parameters(build_for(arm.config, torch.device("cpu")))
        assert parameters <= COURSE_PARAMETERS or name in teachers  # a teacher is never shipped
    course = accuracy.ARMS["course"].config
    recipe = (course.optimizer, course.lr, course.weight_decay, course.batch_size, course.max_epochs, course.schedule)
    assert recipe == ("adam", 0.005, 1e-5, 64, 20, "constant")


def test_each_arm_follows_one_that_is_there():
    names, teachers = list(accuracy.ARMS), {arm.teachers for arm in accuracy.ARMS.values()}
    for position, (name, arm) in enumerate(accuracy.ARMS.items()):
        assert all(other in names[:position] for other in (arm.over, arm.teachers) if other)
        assert position == 0 or arm.over or name in teachers


def test_an_affine_augmentation_that_moves_nothing_gives_the_image_and_one_that_shifts_moves_it_by_whole_pixels():
    images, ones, zeros = torch.rand(2, 3, 64, 64), torch.ones(2), torch.zeros(2)
    still = ideas.AffineDraws(zeros.bool(), zeros, ones, zeros, zeros, ones, ones, ones, [0, 1, 2])
    assert torch.allclose(ideas.augment_affine(images.clone(), still), images, atol=1e-5)
    right = ideas.AffineDraws(zeros.bool(), zeros, ones, zeros + 4 / 64, zeros, ones, ones, ones, [2, 0, 1])
    assert torch.allclose(ideas.augment_affine(images.clone(), right)[..., :-4], images[..., 4:], atol=1e-5)
    flipped = ideas.AffineDraws(ones.bool(), zeros, ones, zeros, zeros, ones, ones, ones, [0, 1, 2])
    assert torch.allclose(ideas.augment_affine(images.clone(), flipped), images.flip(3), atol=1e-5)


def test_the_targets_of_a_view_are_its_teachers_mean_probabilities_for_its_own_images(splits):
    train = splits["train"].subset(range(6))
    teachers = [build_for(Config(seed=seed, channels_block3=4), torch.device("cpu")).eval() for seed in (1, 2)]
    views = ideas.augmented_views(train, teachers, 2, "fp32", ideas.augment_affine, ideas.draw_affine)
    for view in views:
        predicted = [probabilities(predict_logits(teacher, view, "fp32")) for teacher in teachers]
        assert np.allclose(view.targets.numpy(), np.mean(predicted, axis=0), atol=1e-5)
    assert not torch.equal(views[0].images, views[1].images) and not torch.equal(views[0].images, train.images)
    done = iter((0, 1, 2))
    read = ideas.batches_of_views(views, lambda: next(done))
    for expected in (views[0], views[1], views[0]):  # one view per epoch, in turn
        targets = torch.cat([batch[1] for batch in read(train, 6, torch.Generator().manual_seed(0))])
        assert torch.equal(targets.sort(0).values, expected.targets.sort(0).values)


def test_an_interrupted_training_of_an_arm_keeps_the_best_epochs_and_the_turn_of_its_views(splits):
    train, valid = splits["train"].subset(range(16)), splits["valid"].subset(range(8))
    configs = {"a": Config(channels_block3=4, mirror=True), "b": Config(channels_block3=4)}
    look = arms.Look(build_for(configs["b"], torch.device("cpu")), configs, valid)
    look({"epoch": 3}, look.model)
    again = arms.Look(look.model, configs, train)
    again.load_state_dict(look.state_dict())
    assert again.epochs == 3 and again.best["a"].row == look.best["a"].row and again.best["b"].weights
    again.load_state_dict({})
    assert again.epochs == 0 and again.best["a"].row is None


def test_the_gpu_script_measures_every_network(tmp_path, monkeypatch):
    monkeypatch.setattr(
        sys, "argv", ["gpu.py", "--device", "cpu", "--images", "64", "--json", str(tmp_path / "g.json")]
    )
    gpu.main()
    names = [row["name"] for row in json.loads((tmp_path / "g.json").read_text())["rows"]]
    for arch in gpu.ARCHES:
        for kind in gpu.ON_A_CPU:
            assert f"step {kind}, {arch}, batch 64" in names


def test_every_way_to_do_a_step_on_a_gpu_trains_the_same_network():
    images = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    images = images.to(memory_format=torch.channels_last)
    for arch in gpu.ARCHES:
        gradients = {}
        for way in (gpu.Way(), gpu.Way(padded=True, biases=False)):
            model = gpu.changed(gpu.build_model(0, torch.device("cpu"), arch=arch), way)
            torch.nn.functional.binary_cross_entropy_with_logits(model(images), torch.ones(4, 5)).backward()
            gradients[way] = {name: each.grad for name, each in model.named_parameters()}
        usual, faster = gradients.values()
        left_out = {name for name, gradient in faster.items() if gradient is None}
        assert left_out == {f"block{n}.conv.bias" for n in (1, 2, 3) if arch == "course"}
        assert all(usual[name].abs().max() < 1e-6 for name in left_out)  # zero but for rounding
        for name in usual.keys() - left_out:
            assert torch.allclose(usual[name], faster[name], rtol=1e-3, atol=1e-5), name


def test_every_explorer_is_measured_and_its_moves_differ():
    from helpers.plots.explorers import __all__ as every

    assert sorted(name for _, name in explorers.ROWS) == sorted(every)
    draw, moves = explorers.overfitted()
    assert len({draw(**values).says for values in moves}) == len(moves)
    assert explorers.measure(draw, moves[:1], 2)["moves"] == 2
