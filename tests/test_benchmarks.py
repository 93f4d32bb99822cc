"""The benchmarks: the yardstick does the same work, and the promised figures come."""

import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks import (
    commands,
    end_to_end,
    inference,
    input_pipeline,
    plain,
    scaling,
    timing,
    train_step,
    variants,
)
from pix2pix_tf import networks
from pix2pix_tf.options import LossConfig
from pix2pix_tf.training import step

NGF = 4
TOLERANCE = 1e-4  # sums in another order; Adam's first updates enlarge what they differ


def _make_pair():
    """Inputs and targets of one image.

    Of two images the innermost batch norm would see two numbers, and make of any
    rounding a difference.
    """
    shape = [2, 1, 256, 256, 3]
    return tf.unstack(tf.random.stateless_uniform(shape, [1, 2], -1, 1))


def _dropouts(generator):
    return [layer for layer in generator.layers if hasattr(layer, "seed_generator")]


def _same_dropout(state, generator):
    """Has a plain generator draw the masks that the project's next step draws."""
    networks.key_dropout(state.generator, variants.SEED, state.global_step)
    pairs = zip(_dropouts(state.generator), _dropouts(generator), strict=True)
    for ours, theirs in pairs:
        theirs.seed_generator.state.assign(ours.seed_generator.state)


def test_from_the_same_weights_the_yardstick_computes_what_the_project_does():
    keras.utils.set_random_seed(3)
    state = variants.build_project("float32", NGF)
    generator = plain.make_plain_generator(NGF, "float32")
    discriminator = plain.make_plain_discriminator(NGF, "float32")
    generator.set_weights(state.generator.get_weights())
    discriminator.set_weights(state.discriminator.get_weights())
    project_step = step.make_train_step(state, LossConfig(), variants.SEED)
    plain_step = plain.make_plain_step(NGF, "float32", (generator, discriminator))
    pair = _make_pair()
    for _ in range(3):  # the second and third see the first's updates
        _same_dropout(state, generator)
        outputs, losses = plain_step(*pair)
        result = project_step(*pair)
        np.testing.assert_allclose(outputs, result.outputs, atol=TOLERANCE)
        assert list(losses) == list(result.losses)
        for name, value in result.losses.items():
            np.testing.assert_allclose(losses[name], value, rtol=TOLERANCE)


def test_both_have_the_originals_number_of_parameters():
    assert timing.count_work(64)["parameters"] == 57_190_084
    state = variants.build_project("float32", NGF)
    count = networks.count_parameters(state.generator, state.discriminator)
    assert timing.count_work(NGF)["parameters"] == count


def test_the_work_of_a_step_is_counted_from_the_layers():
    # Multiply-adds by hand, at ngf 64: output pixels x filters x 4 x 4 x channels.
    encoders = [(128, 64, 3), (64, 128, 64), (32, 256, 128), (16, 512, 256)]
    encoders += [(side, 512, 512) for side in (8, 4, 2, 1)]
    # Of a transposed convolution the input's pixels count.
    decoders = [(1, 512, 512), *((side, 512, 1024) for side in (2, 4, 8))]
    decoders += [(16, 256, 1024), (32, 128, 512), (64, 64, 256), (128, 3, 128)]
    judges = [(128, 64, 6), (64, 128, 64), (32, 256, 128), (31, 512, 256), (30, 1, 512)]
    generator, discriminator = (
        sum(side**2 * filters * 16 * channels for side, filters, channels in table)
        for table in (encoders + decoders, judges)
    )
    work = timing.count_work(64)
    assert work["forward_gflop"] == pytest.approx(2e-9 * generator)
    assert work["step_gflop"] == pytest.approx(
        2e-9 * (3 * generator + 7 * discriminator)
    )


def test_building_for_a_precision_leaves_the_callers():
    with plain.using_precision("mixed_bfloat16"):
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == "float32"


def test_a_mixed_network_computes_in_bfloat16_and_answers_in_float32():
    generator = plain.make_plain_generator(1, "mixed_bfloat16")
    assert {layer.compute_dtype for layer in generator.layers[1:-1]} == {"bfloat16"}
    assert generator.output.dtype == "float32"
    assert {variable.dtype for variable in generator.trainable_variables} == {"float32"}


class _FakeWorker:
    """A timing.Worker without a process: known times, and a list of all turns."""

    SECONDS = {"plain": 1.0, "project": 0.5, "exported": 0.25}
    turns = []

    def __init__(self, task, variant, precision, ngf, python=None, **sizes):
        self.variant, self.precision, self.peak_mb = variant, precision, 100.0
        self.seconds = self.SECONDS[variant] * (1 if precision == "float32" else 8)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self, batch_size, calls):
        self.turns += [self.variant] * bool(calls)
        return [self.seconds * batch_size] * calls


@pytest.fixture
def fake_workers(monkeypatch):
    """No processes, and the machine's rates of next to nothing; gives the turns."""
    monkeypatch.setattr(timing, "Worker", _FakeWorker)
    monkeypatch.setattr(_FakeWorker, "turns", [])
    monkeypatch.setattr(timing, "MATRIX_SIDE", 64)
    monkeypatch.setattr(timing, "ARRAY_NUMBERS", 1000)
    return _FakeWorker.turns


def test_workers_take_turns_until_their_budget_is_spent(fake_workers):
    workers = [
        _FakeWorker("step", variant, "float32", 1) for variant in ("plain", "project")
    ]
    times = timing.take_turns(workers, batch_size=1, rounds=9, budget=1.6)
    assert times == [[1.0], [0.5] * 3]  # a first call of each is not among them
    assert fake_workers == ["plain", "project"] * 2 + ["project"] * 2


def test_what_takes_much_longer_than_the_budget_is_called_once(fake_workers):
    workers = [_FakeWorker("step", "plain", "float32", 1)]
    assert timing.take_turns(workers, batch_size=4, rounds=9, budget=1.9) == [[4.0]]
    assert fake_workers == ["plain"]


def test_16_bits_may_be_computed_in_32():
    rates = {"matmul_gflops_float32": 9.0, "matmul_gflops_mixed_bfloat16": 7.0}
    assert timing.arithmetic_rate(rates, "mixed_bfloat16") == 9
    rates["matmul_gflops_mixed_bfloat16"] = 18.0
    assert timing.arithmetic_rate(rates, "mixed_bfloat16") == 18
    assert timing.arithmetic_rate(rates, "float32") == 9


def test_the_step_has_a_table_and_json_of_every_variant(capsys, tmp_path, fake_workers):
    path = tmp_path / "step.json"
    train_step.main(["--batch_size", "4", "1", "--rounds", "2", "--json", str(path)])
    written = json.loads(path.read_text())
    assert [
        (
            result["batch_size"],
            result["precision"],
            result["variant"],
            result["median_s"],
            result["ratio_to_plain"],
        )
        for result in written["results"]
    ] == [
        (batch_size, precision, variant, slower * batch_size * seconds, ratio)
        for batch_size in (1, 4)
        for precision, slower in (("float32", 1), ("mixed_bfloat16", 8))
        for variant, seconds in (("plain", 1.0), ("project", 0.5))
        for ratio in [1 / (slower * seconds)]
    ]
    assert set(written["rates"]) == {
        "matmul_gflops_float32",
        "matmul_gflops_mixed_bfloat16",
        "memory_gb_per_s",
    }
    first = written["results"][0]
    assert first["gflops"] == pytest.approx(written["work"]["step_gflop"])
    arithmetic_s = first["gflops"] / written["rates"]["matmul_gflops_float32"]
    adam_s = 7 * 4 * 57_190_084 / 1e9 / written["rates"]["memory_gb_per_s"]
    assert first["share_of_floor"] == pytest.approx(arithmetic_s + adam_s)
    printed = capsys.readouterr().out
    assert "processors" in printed and "TensorFlow" in printed
    lines = printed.splitlines()
    assert lines[-9].split()[:3] == ["variant", "precision", "batch"]
    assert lines[-8].split()[:5] == ["plain", "float32", "1", "2", "1.000"]


def test_scaling_varies_one_thing_at_a_time(tmp_path, fake_workers):
    path, plot = tmp_path / "scaling.json", tmp_path / "scaling.png"
    scaling.main(["--calls", "2", "--json", str(path), "--plot", str(plot)])
    found = json.loads(path.read_text())["series"]
    assert [row["batch_size"] for row in found["batch_size"]] == [1, 2, 4, 8, 16]
    assert {row["ngf"] for row in found["batch_size"]} == {64}
    small, large = found["crop_size"]
    assert large["gflops"] == pytest.approx(4 * small["gflops"])  # in the same time
    first, second = found["batch_size"][:2]
    assert second["images_per_s"] == pytest.approx(first["images_per_s"])
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_peer_that_is_absent_is_refused_by_one_line(capsys, monkeypatch, tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError")  # found before PyTorch
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(SystemExit) as exit_info:
        train_step.main(["--peer", "torch"])
    assert exit_info.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "--peer torch" in line and "pip install '.[torch]'" in line


def test_a_variant_that_fails_says_why():
    with (
        timing.Worker("step", "none", "float32", 1) as worker,
        pytest.raises(SystemExit, match="none, float32: status 1: KeyError"),
    ):
        worker.run(1, 1)


def test_inference_and_test_mode_have_their_figures(
    capsys, monkeypatch, tmp_path, fake_workers
):
    seconds = [10.0 + 2 * number for number in range(16)]
    seconds += [41.0] * 8  # those that waited at the end
    lines = [(second, "evaluated image house") for second in seconds]
    lines.append((41.0, "network 75% of the time"))
    run = commands.Run(lines, seconds=20.0, peak_mb=300.0)
    monkeypatch.setattr(commands, "run_command", lambda flags: run)
    (tmp_path / "options.json").write_text('{"ngf": 2}')
    path = tmp_path / "inference.json"
    flags = ["--json", str(path), "--test_mode", str(tmp_path), "pictures"]
    inference.main(flags)
    written = json.loads(path.read_text())
    assert written["ngf"] == 2  # the checkpoint's
    assert [
        (result["variant"], result["precision"], result["ratio_to_plain"])
        for result in written["results"]
    ] == [
        (variant, precision, 1 / (slower * seconds))
        for precision, slower in (("float32", 1), ("mixed_bfloat16", 8))
        for variant, seconds in _FakeWorker.SECONDS.items()
    ]
    assert written["test_mode"]["test_mode_picture_s"] == 2
    assert written["test_mode"]["network_share"] == 0.75
    assert written["test_mode"]["network_alone_share"] == 0.25
    assert written["test_mode"]["test_mode_first_line_s"] == 10
    assert "network_share" in capsys.readouterr().out
    del lines[0]
    with pytest.raises(SystemExit, match="pictures has 23 pictures: give 24 or more"):
        inference.main(flags)


def _training(flags):
    """The lines of a training of five steps, one a second, and of what is due then."""
    lines = [(float(second), "progress  epoch 1") for second in range(10, 14)]
    lines += [(14.0, "progress  epoch 1"), (14.0, "gen_loss_L1 0.1")]
    if "--val_dir" in flags:
        lines[-2:-2] = [(14.0, "saving model"), (24.0, "validation  step 5")]
        lines[-2:] = [(24.5, line) for _, line in lines[-2:]]
    elif "--summary_freq=0" not in flags:
        lines[-2:-2] = [(14.0, "recording summary"), (16.0, "saving display images")]
        lines[-2:] = [(16.5, line) for _, line in lines[-2:]]
        lines.append((16.5, "saving model"))
        return commands.Run(lines, seconds=20.0, peak_mb=300.0)
    return commands.Run(lines, seconds=lines[-1][0] + 0.5, peak_mb=200.0)


def test_whole_commands_have_shares_of_what_is_beside_the_steps(
    monkeypatch, tmp_path, fake_workers
):
    monkeypatch.setattr(commands, "run_command", _training)
    path = tmp_path / "end_to_end.json"
    flags = ["--num_steps", "3", "--warm_up", "1", "--rounds", "1", "--json", str(path)]
    end_to_end.main(flags)
    found = json.loads(path.read_text())["results"]
    assert found["step_images_per_s"] == 2.0 and found["bare_images_per_s"] == 1.0
    assert found["bare_of_step"] == 0.5 and found["bare_first_step_s"] == 10
    assert (found["default_peak_mb"], found["watched_peak_mb"]) == (300, 200)
    events = {"summary": 2.0, "picture": 0.5, "save": 3.0, "validation": 10.0}
    assert {name: found[f"{name}_s"] for name in events} == events
    spent = {"summary": 2 / 100, "save": 3 / 5000, "validation": 10 / 1000}
    total = 1 + sum(spent.values())
    for name, seconds in spent.items():
        assert found[f"{name}_share"] == pytest.approx(seconds / total)
    assert found["everything_share"] == pytest.approx(sum(spent.values()) / total)


@pytest.mark.parametrize("script", [train_step, inference, end_to_end, input_pipeline])
def test_help_says_what_is_measured(script, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["benchmark", "--help"])
    with pytest.raises(SystemExit) as exit_info:
        script.main()
    assert exit_info.value.code == 0
    assert script.__doc__.strip().splitlines()[0] in capsys.readouterr().out


def test_the_pytorch_peer_computes_what_the_yardstick_does():
    torch = pytest.importorskip("torch", reason="needs PyTorch (pip install torch)")
    from benchmarks import peer_torch

    keras.utils.set_random_seed(3)
    generator = plain.make_plain_generator(NGF, "float32")
    discriminator = plain.make_plain_discriminator(NGF, "float32")
    peers = (peer_torch.Generator(NGF), peer_torch.Discriminator(NGF))
    for network, peer in zip((generator, discriminator), peers, strict=True):
        weights = [variable.numpy() for variable in network.trainable_variables]
        # [height, width, a, b] -> [b, a, height, width], transposed or not
        weights = [w.transpose(3, 2, 0, 1) if w.ndim == 4 else w for w in weights]
        for parameter, weight in zip(peer.parameters(), weights, strict=True):
            parameter.data = torch.from_numpy(weight.copy())
    for layer in _dropouts(generator):
        layer.rate = 0
    for module in peers[0].modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    plain_step = plain.make_plain_step(NGF, "float32", (generator, discriminator))
    peer_step = peer_torch.make_step(NGF, "float32", peers, is_compiled=False)
    pair = _make_pair()
    peer_pair = peer_torch.to_tensors([images.numpy() for images in pair])
    for number in range(3):
        outputs, losses = plain_step(*pair)
        peer_outputs, peer_losses = peer_step(*peer_pair)
        # Adam moves every weight by as much, also where its gradient is rounding alone
        # and the two libraries' differ: single pixels do then, and losses hardly.
        if number == 0:
            np.testing.assert_allclose(
                peer_outputs.permute(0, 2, 3, 1), outputs, atol=TOLERANCE
            )
        np.testing.assert_allclose(
            peer_losses, [float(loss) for loss in losses.values()], rtol=TOLERANCE
        )
