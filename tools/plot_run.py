"""The same as `pix2pix-tf plot`."""

import sys

from pix2pix_tf.commands.plot.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
