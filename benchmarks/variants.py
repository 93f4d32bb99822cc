"""What is timed: each variant in a process of its own, which waits for its turn.

`timing.Worker` starts `python variants.py TASK VARIANT PRECISION NGF CROP_SIZE THREADS`
(0: as many as the machine has; only the project's step has another size than 256) and
asks it, by one line of JSON on its stdin, for a number of calls at a batch size; the
answer, on its stdout, holds their seconds and the process's peak memory so far. Imports
are where they are needed: the peer's Python may have no TensorFlow.
"""

import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # without an installation too

import numpy as np

SEED = 1


def build_project(precision, ngf, crop_size=256):
    """Returns the project's TrainState at its defaults, for one precision and size."""
    from benchmarks.plain import using_precision
    from pix2pix_tf.options import LossConfig, ModelConfig, PairConfig
    from pix2pix_tf.training import step

    with using_precision(precision):
        return step.make_state(
            PairConfig().channels,
            ModelConfig(ngf=ngf, ndf=ngf, crop_size=crop_size),
            LossConfig(),
        )


def _build_generator(precision, ngf):
    from benchmarks.plain import using_precision
    from pix2pix_tf import networks
    from pix2pix_tf.options import ModelConfig, PairConfig

    with using_precision(precision):
        model = ModelConfig(ngf=ngf)
        return networks.build_generator(PairConfig().channels, model)


def _make_plain_step(precision, ngf):
    from benchmarks import plain

    return plain.make_plain_step(ngf, precision)


def _make_project_step(precision, ngf, crop_size=256):
    from pix2pix_tf.options import LossConfig
    from pix2pix_tf.training import step

    state = build_project(precision, ngf, crop_size)
    return step.make_train_step(state, LossConfig(), SEED)


def _make_torch_step(precision, ngf):
    from benchmarks import peer_torch

    return peer_torch.make_step(ngf, precision)


def _make_plain_forward(precision, ngf):
    import tensorflow as tf

    from benchmarks import plain

    generator = plain.make_plain_generator(ngf, precision)
    return tf.function(lambda inputs, _: generator(inputs, training=True))


def _make_project_forward(precision, ngf):
    """The core of test mode: as in `evaluate`, without the way to pictures."""
    import tensorflow as tf

    from pix2pix_tf import networks

    generator = _build_generator(precision, ngf)
    networks.freeze(generator)
    number = tf.constant(0)  # of the batch

    @tf.function
    def forward(inputs, number):
        networks.key_dropout(generator, SEED, number)
        return generator(inputs)

    return lambda inputs, _: forward(inputs, number)


def _make_torch_forward(precision, ngf):
    from benchmarks import peer_torch

    forward = peer_torch.make_forward(ngf, precision)
    return lambda inputs, _: forward(inputs)


def _make_exported_forward(precision, ngf):
    """The signature `generate` of a SavedModel, as another program would call it."""
    import tensorflow as tf

    from pix2pix_tf.inference import export
    from pix2pix_tf.options import from_dict

    with tempfile.TemporaryDirectory() as folder:
        values = {"mode": "export", "ngf": ngf, "output_dir": folder, "seed": SEED}
        generator = _build_generator(precision, ngf)
        model = export.ServingModel(generator, from_dict(values))
        tf.saved_model.save(model, folder, signatures=model.signatures())
        loaded = tf.saved_model.load(folder)
    # The loaded object must outlive its signature.
    return lambda inputs, _: loaded.signatures["generate"](inputs=inputs)


# {(task, variant): function from (precision, ngf) to what maps inputs and targets}
MAKERS = {
    ("step", "plain"): _make_plain_step,
    ("step", "project"): _make_project_step,
    ("step", "torch"): _make_torch_step,
    ("forward", "plain"): _make_plain_forward,
    ("forward", "project"): _make_project_forward,
    ("forward", "exported"): _make_exported_forward,
    ("forward", "torch"): _make_torch_forward,
}


def _make_pair(batch_size, side=256):
    """Returns inputs and targets, float32 [batch, side, side, 3] in [-1, 1]."""
    pair = np.random.RandomState(SEED).uniform(-1, 1, [2, batch_size, side, side, 3])
    return pair.astype(np.float32)


def _make_run(variant, function, side=256):
    """Returns a function from batch size to one that does a call and waits for it."""
    if variant == "torch":
        from benchmarks import peer_torch

        def prepare_torch(batch_size):
            pair = peer_torch.to_tensors(_make_pair(batch_size))
            function(*pair)  # compiles, which takes its time
            return lambda: function(*pair)

        return prepare_torch

    import tensorflow as tf

    def prepare(batch_size):
        pair = _make_pair(batch_size, side)
        inputs, targets = (tf.constant(images) for images in pair)

        def run():
            function(inputs, targets)
            tf.test.experimental.sync_devices()  # a GPU's work too

        return run

    return prepare


def read_peak_mb(process="self"):
    """Returns the most memory that a process held so far, or None; Linux only.

    psutil 7 has no peak, and `ru_maxrss` of a child begins with what its parent held.

    Args:
        process: its number, or "self".
    """
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return None
    found = re.search(r"VmHWM:\s*(\d+) kB", status)  # absent once it has ended
    return int(found.group(1)) * 1024 / 1e6 if found else None


def _use_threads(threads):
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def main():
    """Answers until stdin ends."""
    task, variant, precision, *numbers = sys.argv[1:]
    ngf, crop_size, threads = map(int, numbers)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    if threads:
        _use_threads(threads)
    sizes = {} if crop_size == 256 else {"crop_size": crop_size}
    function = MAKERS[task, variant](precision, ngf, **sizes)
    prepare = _make_run(variant, function, crop_size)
    runs = {}  # {batch size: function}
    for line in sys.stdin:
        request = json.loads(line)
        batch_size = request["batch_size"]
        if batch_size not in runs:
            runs[batch_size] = prepare(batch_size)
        seconds = []
        for _ in range(request["calls"]):
            started = time.perf_counter()
            runs[batch_size]()
            seconds.append(time.perf_counter() - started)
        answer = {"seconds": seconds, "peak_mb": read_peak_mb()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
