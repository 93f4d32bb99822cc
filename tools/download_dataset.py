"""The same as `pix2pix-tf download`."""

import sys

from pix2pix_tf.commands.download import main

if __name__ == "__main__":
    sys.exit(main())
