"""The same as `pix2pix-tf predict`."""

import sys

from pix2pix_tf.commands.predict import main

if __name__ == "__main__":
    sys.exit(main())
