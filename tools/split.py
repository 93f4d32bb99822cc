"""The same as `pix2pix-tf split`."""

import sys

from pix2pix_tf.commands.split import main

if __name__ == "__main__":
    sys.exit(main())
