"""`python -m pix2pix_tf.networks`: what each discriminator sees, from its layers."""

import sys

from pix2pix_tf.config import CROP_SIZE, ModelConfig
from pix2pix_tf.networks import discriminators


def main():
    """Prints one line for each discriminator."""
    models = [("pixel", ModelConfig(discriminator="pixel"))]
    for n_layers in range(1, 7):
        models.append((f"patch, n_layers {n_layers}", ModelConfig(n_layers=n_layers)))
    models.append(("image", ModelConfig(discriminator="image")))
    print(f"{'discriminator':<18}{'sees, pixels':>14}{f'grid of {CROP_SIZE}':>14}")
    for name, model in models:
        convs = discriminators.conv_table(model)
        field = discriminators.receptive_field(convs)
        grid = discriminators.output_grid(convs)
        print(f"{name:<18}{f'{field}x{field}':>14}{f'{grid}x{grid}':>14}")


if __name__ == "__main__":
    sys.exit(main())
