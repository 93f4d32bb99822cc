"""The same as `pix2pix-tf convert`."""

import sys

from pix2pix_tf.commands.convert import main

if __name__ == "__main__":
    sys.exit(main())
