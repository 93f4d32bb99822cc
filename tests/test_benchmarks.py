"""The benchmarks: the compared models do the same work, and all results are there."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import clients
import commands
import end_to_end
import forms
import inference
import input_pipeline
import machine
import many_images
import plain
import scaling
import serving
import soak
import timing
import train_step
import variants
import workload
from pix2pix_tf import datasets, networks
from pix2pix_tf.inference import exported
from pix2pix_tf.options import DataConfig, LossConfig, PairConfig
from pix2pix_tf.runtime.errors import RunError
from pix2pix_tf.training import step
from tests.conftest import serving as serving_app

NGF = 2
TOLERANCE = 1e-4  # sums in another order, whose differences Adam's first steps enlarge
# One pair; with two, the innermost batch norm would enlarge rounding errors.
PAIR = np.random.default_rng(1).uniform(-1, 1, [2, 1, 256, 256, 3]).astype(np.float32)


@pytest.fixture
def plain_networks():
    """Plain's generator, discriminator and dropout layers; they run without graphs."""
    keras.utils.set_random_seed(3)
    generator = plain.make_plain_generator(NGF, "float32")
    dropouts = [x for x in generator.layers if isinstance(x, keras.layers.Dropout)]
    tf.config.run_functions_eagerly(True)  # to make the graphs would take longer
    yield generator, plain.make_plain_discriminator(NGF, "float32"), dropouts
    tf.config.run_functions_eagerly(False)


def test_from_the_same_weights_plain_computes_what_the_project_does(plain_networks):
    generator, discriminator, dropouts = plain_networks
    state = variants.build_project("float32", NGF)
    generator.set_weights(state.generator.get_weights())
    discriminator.set_weights(state.discriminator.get_weights())
    own = [one for one in state.generator.layers if hasattr(one, "seed_generator")]
    project_step = step.make_train_step(state, LossConfig(), variants.SEED)
    plain_step = plain.make_plain_step(NGF, "float32", (generator, discriminator))
    for _ in range(2):  # the second step sees the update of the first
        networks.seed_dropout(state.generator, variants.SEED, state.global_step)
        for theirs, ours in zip(dropouts, own, strict=True):
            theirs.seed_generator.state.assign(ours.seed_generator.state)
        outputs, losses = plain_step(*tf.unstack(PAIR))
        result = project_step(*tf.unstack(PAIR))
        np.testing.assert_allclose(outputs, result.outputs, atol=TOLERANCE)
        assert list(losses) == list(result.losses)
        for name, value in result.losses.items():
            np.testing.assert_allclose(losses[name], value, rtol=TOLERANCE)


def test_the_pytorch_peer_computes_what_plain_does(plain_networks):
    torch = pytest.importorskip("torch", reason="needs PyTorch (pip install torch)")
    import peer_torch

    *pair, dropouts = plain_networks
    peers = (peer_torch.Generator(NGF), peer_torch.Discriminator(NGF))
    for network, peer in zip(pair, peers, strict=True):
        weights = [variable.numpy() for variable in network.trainable_variables]
        # [height, width, a, b] -> [b, a, height, width], transposed or not
        weights = [w.transpose(3, 2, 0, 1) if w.ndim == 4 else w for w in weights]
        for parameter, weight in zip(peer.parameters(), weights, strict=True):
            parameter.data = torch.from_numpy(weight.copy())
    for layer in dropouts:
        layer.rate = 0
    for module in peers[0].modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    plain_step = plain.make_plain_step(NGF, "float32", pair)
    peer_step = peer_torch.make_step(NGF, "float32", peers, is_compiled=False)
    for number in range(3):
        outputs, losses = plain_step(*tf.unstack(PAIR))
        theirs, their_losses = peer_step(*peer_torch.to_tensors(PAIR))
        if number == 0:  # then Adam enlarges gradients that are only rounding errors
            theirs = theirs.permute(0, 2, 3, 1)
            np.testing.assert_allclose(theirs, outputs, atol=TOLERANCE)
        np.testing.assert_allclose(their_losses, list(losses.values()), rtol=TOLERANCE)


def test_plain_in_mixed_precision_computes_in_bfloat16_and_returns_float32():
    generator = plain.make_plain_generator(1, "mixed_bfloat16")
    assert {layer.compute_dtype for layer in generator.layers[1:-1]} == {"bfloat16"}
    assert generator.output.dtype == "float32"
    assert {variable.dtype for variable in generator.trainable_variables} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"  # of the caller


def test_work_is_counted_from_the_layers():
    counts = workload.count_work(64)
    assert counts["parameters"] == 57_190_084
    assert counts["step_gflop"] == pytest.approx(81, abs=0.5)  # docs/performance.md


class _FakeWorker(timing.Worker):
    """A Worker without a process: known times, and a list of all turns."""

    SECONDS = {"plain": 1.0, "project": 0.5, "exported": 0.25}
    turns = []

    def __init__(self, task, variant, precision, ngf, python=None, **sizes):
        self.variant, self.precision, self.peak_mb = variant, precision, 100.0
        self.seconds = self.SECONDS.get(variant, 0.5) * (
            1 if precision == "float32" else 8
        )

    def __exit__(self, *_):
        pass

    def run(self, batch_size, calls):
        self.turns += [self.variant] * bool(calls)
        return [self.seconds * batch_size] * calls


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Returns a function that runs a benchmark, with fake workers, to its JSON."""
    monkeypatch.setattr(timing, "Worker", _FakeWorker)
    monkeypatch.setattr(machine, "MATRIX_SIDE", 64)
    monkeypatch.setattr(machine, "ARRAY_NUMBERS", 1000)

    def run(benchmark, *flags):
        path = tmp_path / "results.json"
        assert benchmark.main([*map(str, flags), "--json", str(path)]) == 0
        return json.loads(path.read_text())

    return run


def test_workers_take_turns_until_their_budget_is_spent(monkeypatch):
    turns = []
    monkeypatch.setattr(_FakeWorker, "turns", turns)
    workers = [_FakeWorker("step", name, "float32", 1) for name in ("plain", "project")]
    times = timing.take_turns(workers, batch_size=1, rounds=9, budget=1.6)
    assert times == [[1.0], [0.5] * 3]  # without the first call of each
    assert turns == ["plain", "project"] * 2 + ["project"] * 2
    # A first call that takes more than twice the budget is the result.
    slow = timing.take_turns(workers[:1], batch_size=4, rounds=9, budget=1.9)
    assert slow == [[4.0]]


def test_a_variant_that_fails_says_why():
    with (
        timing.Worker("step", "none", "float32", 1) as worker,
        pytest.raises(RunError, match="none, float32: status 1: KeyError"),
    ):
        worker.run(1, 1)


def test_train_step_has_a_row_for_each_variant(capsys, run):
    found = run(train_step, "--batch_size", 4, 1, "--rounds", 2)
    names = ("batch_size", "precision", "variant", "median_s", "ratio_to_plain")
    assert [tuple(row[name] for name in names) for row in found["results"]] == [
        (batch, precision, variant, slower * batch * seconds, 1 / (slower * seconds))
        for batch in (1, 4)
        for precision, slower in (("float32", 1), ("mixed_bfloat16", 8))
        for variant, seconds in (("plain", 1.0), ("project", 0.5))
    ]
    lines = capsys.readouterr().out.splitlines()
    assert lines[-9].split()[:3] == ["variant", "precision", "batch"]
    assert lines[-8].split()[:5] == ["plain", "float32", "1", "2", "1.000"]
    # The least time: arithmetic, which for 16 bits may be done in float32, and Adam.
    rates = list(found["rates"].values())  # of float32, bfloat16, memory
    adam_s = 7 * 4 * 57_190_084 / 1e9 / rates[2]
    for row, rate in ((0, rates[0]), (2, max(rates[:2]))):
        floor_s = found["work"]["step_gflop"] / rate + adam_s
        assert found["results"][row]["floor_s"] == pytest.approx(floor_s)


def test_forms_times_each_part_of_each_layer_and_the_step_of_each_class(
    monkeypatch, run
):
    monkeypatch.setattr(forms, "MIN_S", 0)
    monkeypatch.setattr(forms, "MIN_CALLS", 1)
    found = run(forms, "--ngf", 2, "--precision", "float32", "--rounds", 1)
    rows = [(row["layer"], row["area"], row["form"]) for row in found["layers"]]
    assert len(rows) == len(set(rows)) == 2 * (7 + 8) + 3 + 2
    assert ("encoder_4", 256, "conv") in rows and ("decoder_8", 1, "deconv") in rows
    for row in found["layers"]:
        times = [row[f"{part}_ms"] for part in ("forward", "inputs", "filters")]
        assert min(times) > 0
        if row["form"] == "library":  # cannot be faster than itself
            assert row["faster"] == ""
    for task in ("step", "forward"):
        variants = [row["variant"] for row in found[task]["results"]]
        assert variants == ["plain", "library", "amx", "avx512", "avx2"]


def test_scaling_changes_one_thing_at_a_time(tmp_path, run):
    plot = tmp_path / "scaling.png"
    found = run(scaling, "--plot", plot)["series"]
    assert [row["batch_size"] for row in found["batch_size"]] == [1, 2, 4, 8, 16]
    assert {row["ngf"] for row in found["batch_size"]} == {64}
    small, large = found["crop_size"]
    assert large["gflops"] == pytest.approx(4 * small["gflops"])  # in the same time
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_inference_times_test_mode_too(monkeypatch, tmp_path, run):
    seconds = [10.0 + 2 * number for number in range(16)] + [41.0] * 8  # all that wait
    lines = [(second, "evaluated image house") for second in seconds]
    lines.append((41.0, "network 75% of the time"))
    told = commands.Run(lines, seconds=20.0, peak_mb=300.0)
    monkeypatch.setattr(commands, "run_command", lambda flags: told)
    (tmp_path / "options.json").write_text('{"ngf": 2}')
    found = run(inference, "--test_mode", tmp_path, "images")
    assert found["ngf"] == 2  # the checkpoint's
    assert {row["variant"] for row in found["results"]} == set(_FakeWorker.SECONDS)
    assert found["test_mode"]["test_mode_picture_s"] == 2
    assert found["test_mode"]["network_share"] == 0.75
    assert found["test_mode"]["network_alone_share"] == 0.25


def _train(flags):
    """What a training of five steps, one a second, prints; events after the last."""
    lines = [(float(second), "progress  epoch 1") for second in range(10, 14)]
    if "--val_dir" in flags:
        lines += [(14.0, "saving model"), (24.0, "validation  step 5")]
    elif "--summary_freq=0" in flags:
        return commands.Run([*lines, (14.0, "progress  epoch 1")], 14.5, peak_mb=200.0)
    lines += [(24.5, "recording summary"), (26.5, "saving display images")]
    lines += [(27.0, "progress  epoch 1"), (27.0, "loss 0.1"), (27.0, "saving model")]
    return commands.Run(lines[: -1 if "--val_dir" in flags else None], 30.5, 300.0)


def test_end_to_end_has_the_share_of_what_is_done_beside_steps(monkeypatch, run):
    monkeypatch.setattr(commands, "run_command", _train)
    found = run(end_to_end, "--num_steps", 3, "--warm_up", 1, "--rounds", 1)["results"]
    assert found["step_images_per_s"] == 2.0 and found["bare_images_per_s"] == 1.0
    assert found["bare_of_step"] == 0.5 and found["bare_first_step_s"] == 10
    events = {"summary": 2.0, "picture": 0.5, "save": 3.0, "validation": 10.0}
    assert {name: found[f"{name}_s"] for name in events} == events
    spent = 2 / 100 + 3 / 5000 + 10 / 1000  # seconds for each step
    assert found["summary_share"] == pytest.approx(2 / 100 / (1 + spent))
    assert found["everything_share"] == pytest.approx(spent / (1 + spent))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the converters
def test_serving_has_a_row_for_each_format_and_number_of_clients(exported_dir, run):
    flags = ["--model", exported_dir, "--rounds", 1, "--seconds", 0.2]
    found = run(serving, *flags, "--clients", 1, 2)
    assert [row["name"] for row in found["formats"]] == list(exported.FILE_NAMES)
    assert [row["ratio"] for row in found["formats"]][0] == 1
    assert len(found["batch"]) == 2 and found["ngf"] == NGF
    assert [row["clients"] for row in found["clients"]] == [1, 2]
    assert {row["num_wrong"] for row in found["clients"]} == {0}


def test_answers_that_are_lost_different_or_late_are_counted():
    bodies = []

    async def answer(scope, receive, send):
        if scope["type"] != "http":
            return
        bodies.append((await receive())["body"])
        number = len(bodies)  # the first two are of clients that are alone
        status = {3: 503, 5: 500}.get(number, 200)
        body = b"different" if number == 4 else b"%d" % bodies.index(bodies[-1])
        head = {"type": "http.response.start", "status": status, "headers": []}
        await send(head)
        await send({"type": "http.response.body", "body": body})

    with serving_app(answer) as url:
        [one, two] = clients.time_clients(url, [1, 2], 0.5)
    assert bodies[0] != bodies[1]
    assert (one["num_wrong"], one["num_later"]) == (2, 1)
    assert (two["num_wrong"], two["num_later"]) == (0, 0)
    assert one["p50_s"] <= one["p95_s"] <= one["p99_s"]


@pytest.mark.parametrize(
    "benchmark, flags, words",
    [
        (train_step, ["--rounds", "0"], "--rounds: must be at least 1, got 0"),
        (train_step, ["--peer", "torch", "--peer_python", "false"], "needs PyTorch in"),
        (inference, ["--test_mode", "none", "none"], "options.json is missing"),
        (input_pipeline, ["--input_dir", "none"], "--input_dir none"),
        (end_to_end, ["--size", "1"], "unrecognized arguments: --size"),
        (serving, ["--seconds", "0"], "--seconds 0: wanted more than 0"),
        (serving, ["--model", "none"], "--model none: no exported model is there"),
        (soak, ["--kills", "x"], "--kills: invalid int value: 'x'"),
    ],
)
def test_wrong_usage_ends_with_one_line(benchmark, flags, words, capsys):
    assert benchmark.main(flags) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{benchmark.__name__}: error: ") and words in line


def test_the_input_pipeline_is_compared_with_decoding_alone(pair_dir, monkeypatch):
    monkeypatch.setattr(input_pipeline, "SECONDS", 0.02)
    monkeypatch.setattr(input_pipeline, "CORE_ROUNDS", 1)
    found = input_pipeline.measure_cores(pair_dir, PairConfig(), DataConfig())
    names = ["decode", "pipeline", "pipeline_cache_memory", "pipeline_cache_folder"]
    rates = [found.pop(f"{name}_images_per_s_of_a_core") for name in names]
    shares = [found.pop(f"{name}_share_of_decode") for name in names[1:]]
    assert shares == [rate / rates[0] for rate in rates[1:]]
    assert min(rates) > 0 and not found


def test_many_images_measures_each_stage_and_plans_from_it(monkeypatch, tmp_path, run):
    monkeypatch.setattr(many_images, "run_alone", lambda call, *rest: call(*rest))
    monkeypatch.setattr(many_images, "NUM_DECODED", 2)
    monkeypatch.setattr(many_images, "NUM_SHARDS", 2)
    monkeypatch.setattr(many_images, "BUFFERS", (10,))
    flags = ["--kilobytes", 20, "--gpu_tflops", 81, "--gpu_price", 3.6]
    found = run(many_images, "--count", 3000, "--work_dir", tmp_path, *flags)["results"]
    assert 98 < found["spread_of_indices"] <= 100
    assert found["spread_of_buffer_10"] < 40  # thirds of a set in order
    assert all(found[f"{name}_per_cpu_s"] > 0 for name in datasets.FILE_FORMATS)
    million, hundred_millions = found["plan"]
    assert million["storage_gb"] == 20 and hundred_millions["storage_gb"] == 2000
    # A step has 81 GFLOP an image: 1,000 images a second, for 3.6 an hour.
    assert million["gpu_hours"] == pytest.approx(1000 / 3600, rel=0.02)
    assert million["epoch_cost"] == pytest.approx(1, rel=0.02)
    cores = million["cores"] * found["pairs_per_cpu_s"]
    assert cores == pytest.approx(1000, rel=0.02)
    assert [*tmp_path.iterdir()] == [tmp_path / "results.json"]


def test_the_spread_of_an_order_is_the_share_of_the_set_that_is_mixed():
    order = np.arange(100_000)
    assert many_images.find_spread(order) == 1
    assert many_images.find_spread(np.random.default_rng(1).permutation(order)) > 99.9
