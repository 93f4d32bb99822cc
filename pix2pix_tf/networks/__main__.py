"""`python -m pix2pix_tf.networks`: what each discriminator sees, from its layers."""

import argparse
import sys

from pix2pix_tf.data.samples import facades
from pix2pix_tf.networks import discriminators
from pix2pix_tf.options import CROP_SIZE, ModelConfig

SAMPLE_SEED = 1003  # of the photograph; any will do


def main(argv=None):
    """Prints one line for each discriminator; with `--picture` draws them too."""
    parser = argparse.ArgumentParser(prog="python -m pix2pix_tf.networks")
    parser.add_argument(
        "--picture", metavar="FILE.png", help="draw what the central output sees"
    )
    picture_path = parser.parse_args(argv).picture
    models = _models()
    print(f"{'discriminator':<18}{'sees, pixels':>14}{f'grid of {CROP_SIZE}':>14}")
    for name, model in models.items():
        convs = discriminators.conv_table(model)
        field = discriminators.receptive_field(convs)
        grid = discriminators.output_grid(convs, CROP_SIZE)
        print(f"{name:<18}{f'{field}x{field}':>14}{f'{grid}x{grid}':>14}")
    if picture_path is not None:
        del models["patch, n_layers 6"]  # more than twice the image
        try:
            draw(models, picture_path)
        except (ImportError, OSError, ValueError) as error:
            parser.exit(2, f"--picture {picture_path} cannot be written: {error}\n")


def _models():
    """Returns {what to call it: ModelConfig}."""
    models = {"pixel": ModelConfig(discriminator="pixel")}
    for n_layers in range(1, 7):
        models[f"patch, n_layers {n_layers}"] = ModelConfig(n_layers=n_layers)
    return models | {"image": ModelConfig(discriminator="image")}


def draw(models, path):
    """Draws, for each discriminator, what its central output sees of a photograph.

    Gray is outside the photograph, where there are only zeros.

    Args:
        models: {title: ModelConfig}.
        path: of the PNG file.
    """
    from matplotlib.figure import Figure  # here: only this needs it
    from matplotlib.patches import Rectangle

    photograph = facades.draw_pair(SAMPLE_SEED)[:, :CROP_SIZE]
    fields = {}
    for title, model in models.items():
        convs = discriminators.conv_table(model)
        centre = discriminators.output_grid(convs, CROP_SIZE) // 2
        start = discriminators.field_start(convs, centre)
        fields[title] = start, discriminators.receptive_field(convs)
    ends = [start + side for start, side in fields.values()]
    low = min(0, *(start for start, _ in fields.values())) - 8
    high = max(CROP_SIZE, *ends) + 8
    num_columns = (len(models) + 1) // 2
    figure = Figure((2.1 * num_columns, 4.8), dpi=80, layout="constrained")
    axes = figure.subplots(2, num_columns).ravel()
    for axis in axes[len(models) :]:
        axis.set_axis_off()
    for axis, (title, (start, side)) in zip(axes, fields.items(), strict=False):
        corner = start - 0.5, start - 0.5  # imshow has pixels' centres at integers
        axis.imshow(photograph)
        axis.add_patch(
            Rectangle(corner, side, side, fill=False, color="red", lw=2, snap=False)
        )
        axis.set(xlim=(low, high), ylim=(high, low), facecolor="0.85")
        axis.set(xticks=[], yticks=[])
        axis.set_title(f"{title}\n{side}x{side}", fontsize=9)
    figure.savefig(path, format="png")


if __name__ == "__main__":
    sys.exit(main())
