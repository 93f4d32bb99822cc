"""The same as `pix2pix-tf score`."""

import sys

from pix2pix_tf.commands.score import main

if __name__ == "__main__":
    sys.exit(main())
