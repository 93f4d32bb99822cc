"""Runs one variant in a process of its own and times its calls, for `timing.Worker`.

    python benchmarks/variants.py TASK VARIANT PRECISION NGF CROP_SIZE

It reads requests from stdin, one a line, {"batch_size": ..., "calls": ...} as JSON, and
answers each on stdout with the list of the calls' seconds. Modules are imported where
they are needed, as the Python of a peer may have no TensorFlow.
"""

import json
import os
import sys
import tempfile
import time

import numpy as np

from pix2pix_tf.runtime import processor

SEED = 1


def build_project(precision, ngf, crop_size=256):
    """Returns the project's TrainState at the default flags but for these."""
    from pix2pix_tf.options import LossConfig, ModelConfig, PairConfig
    from pix2pix_tf.training import step
    from plain import using_precision

    with using_precision(precision):
        return step.make_state(
            PairConfig().channels,
            ModelConfig(ngf=ngf, ndf=ngf, crop_size=crop_size),
            LossConfig(),
        )


def _build_generator(precision, ngf):
    from pix2pix_tf import networks
    from pix2pix_tf.options import ModelConfig, PairConfig
    from plain import using_precision

    with using_precision(precision):
        return networks.build_generator(PairConfig().channels, ModelConfig(ngf=ngf))


def _make_plain_step(precision, ngf):
    import plain

    return plain.make_plain_step(ngf, precision)


def _make_project_step(precision, ngf, crop_size=256):
    from pix2pix_tf.options import LossConfig
    from pix2pix_tf.training import step

    state = build_project(precision, ngf, crop_size)
    return step.make_train_step(state, LossConfig(), SEED)


def _using_forms(make, name):
    """Returns a function like `make`, of networks with the forms of a class."""

    def make_with_forms(precision, ngf):
        from pix2pix_tf.networks import forms

        with forms.applied(name):
            return make(precision, ngf)

    return make_with_forms


def _make_torch_step(precision, ngf):
    import peer_torch

    return peer_torch.make_step(ngf, precision)


def _make_plain_forward(precision, ngf):
    import tensorflow as tf

    import plain

    generator = plain.make_plain_generator(ngf, precision)
    return tf.function(lambda inputs, _: generator(inputs, training=True))


def _make_project_forward(precision, ngf):
    """The core of test mode, without the way to files."""
    import tensorflow as tf

    from pix2pix_tf import networks

    generator = _build_generator(precision, ngf)
    networks.freeze(generator)
    batch_number = tf.constant(0)

    @tf.function
    def forward(inputs, number):
        networks.seed_dropout(generator, SEED, number)
        return generator(inputs)

    return lambda inputs, _: forward(inputs, batch_number)


def _make_torch_forward(precision, ngf):
    import peer_torch

    forward = peer_torch.make_forward(ngf, precision)
    return lambda inputs, _: forward(inputs)


def _make_exported_forward(precision, ngf):
    """The signature `generate` of a SavedModel, as another program would call it."""
    import tensorflow as tf

    from pix2pix_tf.inference import saved_model
    from pix2pix_tf.options import from_dict

    with tempfile.TemporaryDirectory() as folder:
        values = {"mode": "export", "ngf": ngf, "output_dir": folder, "seed": SEED}
        generator = _build_generator(precision, ngf)
        model = saved_model.ServingModel(generator, from_dict(values))
        tf.saved_model.save(model, folder, signatures=model.signatures())
        loaded = tf.saved_model.load(folder)
    # The loaded object must outlive its signature.
    return lambda inputs, _: loaded.signatures["generate"](inputs=inputs)


# {(task, variant): function from (precision, ngf) to one of (inputs, targets)}
MAKERS = {
    ("step", "plain"): _make_plain_step,
    ("step", "project"): _make_project_step,
    ("step", "torch"): _make_torch_step,
    ("forward", "plain"): _make_plain_forward,
    ("forward", "project"): _make_project_forward,
    ("forward", "exported"): _make_exported_forward,
    ("forward", "torch"): _make_torch_forward,
}

for _name in ("library", *processor.CLASSES):  # as --convolutions
    MAKERS["step", _name] = _using_forms(_make_project_step, _name)
    MAKERS["forward", _name] = _using_forms(_make_project_forward, _name)


def _make_pair(batch_size, side):
    """Returns inputs and targets, float32 [batch, side, side, 3] in [-1, 1]."""
    pair = np.random.RandomState(SEED).uniform(-1, 1, [2, batch_size, side, side, 3])
    return pair.astype(np.float32)


def _prepare_torch(function, batch_size, side):
    """Returns a function that does one call and waits for its end."""
    import peer_torch

    pair = peer_torch.to_tensors(_make_pair(batch_size, side))
    function(*pair)  # compiles, which takes long
    return lambda: function(*pair)


def _prepare(function, batch_size, side):
    """Returns a function that does one call and waits for its end."""
    import tensorflow as tf

    inputs, targets = (tf.constant(images) for images in _make_pair(batch_size, side))

    def call():
        function(inputs, targets)
        tf.test.experimental.sync_devices()  # waits for a GPU, too

    return call


def main():
    """Answers requests until stdin ends."""
    task, variant, precision, *numbers = sys.argv[1:]
    ngf, crop_size = map(int, numbers)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is not an answer
    make, prepare = MAKERS[task, variant], _prepare_torch
    if variant != "torch":
        from pix2pix_tf.runtime.start import start_tensorflow

        start_tensorflow()
        prepare = _prepare
    sizes = {} if crop_size == 256 else {"crop_size": crop_size}
    function = make(precision, ngf, **sizes)
    calls = {}  # {batch size: function}
    for line in sys.stdin:
        request = json.loads(line)
        batch_size = request["batch_size"]
        if batch_size not in calls:
            calls[batch_size] = prepare(function, batch_size, crop_size)
        seconds = []
        for _ in range(request["calls"]):
            started = time.perf_counter()
            calls[batch_size]()
            seconds.append(time.perf_counter() - started)
        print(json.dumps(seconds), file=answers, flush=True)


if __name__ == "__main__":
    main()
