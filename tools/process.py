"""The same as `pix2pix-tf process`."""

import sys

from pix2pix_tf.commands.process import main

if __name__ == "__main__":
    sys.exit(main())
