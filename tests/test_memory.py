import pytest

from pix2pix_tf import memory, networks
from pix2pix_tf.options import ModelConfig, parse
from pix2pix_tf.runtime.errors import UsageError


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"separable_conv": True},
        {"upsample": "subpixel"},
        {"generator": "encoder_decoder", "upsample": "resize", "num_downs": 6},
        {"generator": "resnet", "num_blocks": 6, "discriminator": "image"},
        {"discriminator": "pixel", "unconditional": True, "num_discriminators": 2},
    ],
)
def test_estimates_are_close_to_the_networks_and_never_above(values):
    model = ModelConfig(ngf=8, ndf=32, **values)
    for estimate, build in (
        (memory.generator_parameters, networks.build_generator),
        (memory.discriminator_parameters, networks.build_discriminator),
    ):
        count = networks.count_parameters(build((3, 3), model))
        assert 0.7 * count < estimate((3, 3), model) <= count


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--ngf", "1000000000"], "--ngf 1000000000 and --ndf 64 need"),
        (["--ndf", "1000000000"], "--ndf 1000000000 need"),
        (["--batch_size", "1000000000"], "--batch_size 1000000000 need"),
        (["--scale_size", "1000000000"], "--scale_size 1000000000 and"),
        (["--crop_size", "256000000"], "--crop_size 256000000, --scale_size"),
        (["--input_channels", "1000000000"], "need more than"),
    ],
)
def test_what_no_machine_holds_is_refused_by_its_flag(arguments, words):
    options = parse(["--mode", "train", *arguments])
    with pytest.raises(UsageError, match=words):
        memory.check(options, has_memory=10**12)


def test_the_defaults_need_little():
    memory.check(parse(["--mode", "train"]), has_memory=10**9)


def test_a_containers_bound_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "CGROUP_PATH", tmp_path / "memory.max")
    options = parse(["--mode", "train"])
    for text in (None, "max\n"):
        if text:
            (tmp_path / "memory.max").write_text(text)
        memory.check(options)
    (tmp_path / "memory.max").write_text("1000000\n")
    with pytest.raises(UsageError, match="this machine has 0.001 GB"):
        memory.check(options)
